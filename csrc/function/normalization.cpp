// SPDX-License-Identifier: MIT
#include "function/normalization.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/errors.h"
#include "function/order.h"
#include "function/power.h"
#include "function/rounding.h"

namespace cryptensor::function {
namespace {

using protocol::Engine;
using protocol::Secret;

const ring::BilinearMap kMultiply{ring::Bilinear::multiply, {}};

// e^-24 is 2^-34: 2^15 of them do not show in a sum.
constexpr double kReach = 24;
constexpr int kRatioBits = 24;  // fraction bits of both factors of a quotient that is at most 1

Secret kept_dim(const Secret& x, int64_t dim) {
  return Secret(x.share().unsqueeze(dim), x.fraction_bits(), x.owner());
}

struct Exponentials {
  Secret distance;  // x - max
  Secret top;       // max, the dimension kept
  Secret powers;    // e^distance, untruncated
  Secret total;     // their sum, the dimension kept
  Known known;      // of the total
};

Exponentials exponentials(Engine& engine, const Secret& x_in, int64_t dim_in) {
  // A difference of two has to stay below 2^63: a product has fewer fraction bits than that.
  constexpr int kSlackBits = Engine::kSlackBits;
  const bool fits = x_in.fraction_bits() <= 2 * engine.precision() + kSlackBits;
  const Secret x = fits ? x_in : engine.settle(x_in);
  const auto dims = static_cast<int64_t>(x.sizes().size());
  if (dim_in < -dims || dim_in >= dims) {
    throw ShapeError(fmt::format("dim is {}; allowed are {} to {}", dim_in, -dims, dims - 1));
  }
  const int64_t dim = dim_in < 0 ? dim_in + dims : dim_in, n = x.sizes()[dim];
  if (n < 1 || n >= 1 << 15) {
    throw ShapeError(
        fmt::format("dim {} has {} elements; allowed are 1 to {}", dim_in, n, (1 << 15) - 1));
  }
  const Secret top = kept_dim(unsettled_largest(engine, x, dim), dim);
  const Secret distance = engine.subtract(x, top);
  const auto reach = static_cast<int64_t>(std::ldexp(kReach, x.fraction_bits()));
  const Secret floor = engine.public_units(reach, x.fraction_bits());
  const Secret above = engine.relu(engine.add(distance, floor));
  const auto kept = static_cast<int64_t>(std::ldexp(kReach, above.fraction_bits()));
  const Secret clamped = engine.subtract(above, engine.public_units(kept, above.fraction_bits()));
  const Secret powers = exp_of_negative(engine, clamped);
  const Secret total = engine.sum(powers, {dim}, true);
  // The largest contributes 1, and the error of its power is far below a half.
  const int bits = powers.fraction_bits();
  return {distance,
          top,
          powers,
          total,
          {int64_t{1} << (bits - 1),
           bits + 1 + static_cast<int>(std::bit_width(static_cast<uint64_t>(n)))}};
}

// The mean over the last dimension; n times its error is below 2^-9 of the sum.
Secret mean_of_rows(Engine& engine, const Secret& x) {
  const auto n = static_cast<double>(x.sizes().back());
  const Secret sum = engine.sum(x, {-1}, true);
  constexpr int kBits = 20;
  const Secret mean = engine.multiplied(sum, std::llround(std::ldexp(1 / n, kBits)), kBits);
  return rounded(engine, mean, kBits);
}

struct Centred {
  Secret values;   // scale * (x - mean)
  Secret mean;     // some may be pending
  int64_t factor;  // scale = factor / 2^shift, between a half and 1
  int shift;
  double scale() const { return std::ldexp(static_cast<double>(factor), -shift); }
};

// A row's values have the rounding of their mean in common, which hardly shows in its variance.
Centred centred_by_mean(Engine& engine, const Secret& x) {
  Secret mean = mean_of_rows(engine, x);
  Secret values = engine.subtract(x, mean);
  if (!std::has_single_bit(static_cast<uint64_t>(x.sizes().back()))) {
    // 1 / n is rounded: what it leaves of a large mean is a small one.
    const Secret rest = mean_of_rows(engine, values);
    mean = engine.add(mean, rest);
    values = engine.subtract(values, rest);
  }
  return {values, mean, 1, 0};
}

// Where each value is to be rounded anyway, the mean needs no rounding: n (x - mean) is exact. Read
// with more fraction bits it is x - mean times n / 2^k, where 2^k is the first power of two from n
// on. 1 round for all.
Centred centred_by_rounding(Engine& engine, const Secret& x) {
  const int64_t n = x.sizes().back();
  const int even = std::countr_zero(static_cast<uint64_t>(n));
  const int64_t odd = n >> even;
  const int width = std::bit_width(static_cast<uint64_t>(odd - 1));
  const Secret sum = engine.sum(x, {-1}, true);
  const Secret times = engine.subtract(engine.multiplied(x, n, 0), sum);
  const Secret scaled(times.share(), x.fraction_bits() + even + width, times.owner());
  const Secret values = rounded(engine, scaled, scaled.fraction_bits() - engine.precision());
  // mean = x - (x - mean) of the first element of each row.
  const auto first = [](const Secret& rows) {
    return Secret(rows.share().narrow(-1, 0, 1).contiguous(), rows.fraction_bits(), rows.owner());
  };
  constexpr int kBits = 20;
  const auto unscaled = std::llround(std::ldexp(1.0, kBits + width) / static_cast<double>(odd));
  const Secret mean = engine.subtract(first(x), engine.multiplied(first(values), unscaled, kBits));
  return {values, mean, odd, width};
}

Centred centred_rows(Engine& engine, const Secret& x) {
  // Deviations up to 2^15 have to fit after the multiplication by n.
  constexpr int kDeviationBits = 47;
  const auto n = static_cast<double>(x.sizes().back());
  const bool pending = x.fraction_bits() > engine.precision();
  const bool fits = x.fraction_bits() + std::ceil(std::log2(n)) <= kDeviationBits;
  return pending && fits ? centred_by_rounding(engine, x)
                         : centred_by_mean(engine, engine.settle(x));
}

}  // namespace

Secret softmax(Engine& engine, const Secret& x, int64_t dim) {
  const protocol::OperationScope scope(engine.statistics(), "softmax");
  const Exponentials e = exponentials(engine, x, dim);
  PowerOptions options{e.known};
  options.fraction_bits = kRatioBits;
  options.precise = true;
  const auto inverse = unrounded_power(engine, e.total, -1, options);
  const auto factors =
      rounded(engine, {inverse.low, {e.powers, e.powers.fraction_bits() - kRatioBits}});
  const Secret ratio = engine.wide_product(kMultiply, factors[1], inverse.sum(engine, factors[0]));
  return rounded(engine, ratio, ratio.fraction_bits() - engine.precision());
}

Secret logsumexp(Engine& engine, const Secret& x, int64_t dim) {
  const protocol::OperationScope scope(engine.statistics(), "logsumexp");
  const Exponentials e = exponentials(engine, x, dim);
  const Secret kept = engine.add(e.top, log(engine, e.total, e.known));
  const int64_t d = dim < 0 ? dim + static_cast<int64_t>(x.sizes().size()) : dim;
  return Secret(kept.share().squeeze(d), kept.fraction_bits(), kept.owner());
}

Secret log_softmax(Engine& engine, const Secret& x, int64_t dim) {
  const protocol::OperationScope scope(engine.statistics(), "log_softmax");
  const Exponentials e = exponentials(engine, x, dim);
  return engine.subtract(e.distance, log(engine, e.total, e.known));
}

Standardized standardize(Engine& engine, const Secret& x, double eps,
                         const std::optional<Secret>& weight) {
  if (x.sizes().empty() || x.sizes().back() == 0) {
    throw ShapeError("standardize needs a last dimension with at least 1 element");
  }
  const protocol::OperationScope scope(engine.statistics(), "standardize");
  const auto n = static_cast<double>(x.sizes().back());
  const Centred centred = centred_rows(engine, x);
  const Secret squares = engine.sum(engine.square(centred.values), {-1}, true);
  // sqrt(n) / sqrt(n variance + n eps): the sum needs no division.
  const int bits = squares.fraction_bits();
  const double scale = centred.scale();
  // A smaller eps than a unit of the sum is as good as one: the values themselves are coarser.
  const double least = std::max(std::ldexp(n * eps * scale * scale, bits), 1.0);
  if (!(eps >= 0 && least < 0x1p58)) {
    throw RangeError(
        fmt::format("eps is {}; allowed are 0 to {}", eps, std::ldexp(1 / n, 58 - bits)));
  }
  const auto offset = static_cast<int64_t>(std::floor(least));
  PowerOptions options{Known{offset, 60}, std::sqrt(n)};
  // The result is below sqrt(n) / scale, so that more fraction bits fit its product.
  const int ratio_bits = std::min(kRatioBits, 40 - engine.precision() / 2);
  options.fraction_bits = ratio_bits;
  options.precise = true;
  const auto inverse = unrounded_power(
      engine, engine.add(squares, engine.public_units(offset, bits)), -0.5, options);
  std::vector<protocol::Cut> cuts{inverse.low};
  if (weight) {
    // The rows are open already, from their squares: this product needs no round of its own.
    const Secret weighted = engine.product(kMultiply, centred.values, *weight);
    cuts.push_back({weighted, weighted.fraction_bits() - engine.precision()});
  }
  const auto cut = rounded(engine, cuts);
  const Secret deviation = inverse.sum(engine, cut[0]);
  const Secret ratio = engine.wide_product(kMultiply, weight ? cut[1] : centred.values, deviation);
  const Secret values = rounded(engine, ratio, ratio.fraction_bits() - engine.precision());
  return {values, centred.mean, engine.multiplied(deviation, centred.factor, centred.shift)};
}

}  // namespace cryptensor::function
