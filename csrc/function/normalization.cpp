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

// The mean over the last dimension; n times its error is below 2^-9 of the sum.
Secret mean_of_rows(Engine& engine, const Secret& x) {
  const auto n = static_cast<double>(x.sizes().back());
  const Secret sum = engine.sum(x, {-1}, true);
  constexpr int kBits = 20;
  const Secret mean = engine.multiplied(sum, std::llround(std::ldexp(1 / n, kBits)), kBits);
  return rounded(engine, mean, kBits);
}

struct Exponentials {
  Secret distance;  // x - max
  Secret top;       // max, the dimension kept
  Secret powers;    // e^distance, untruncated
  Secret total;     // their sum, the dimension kept
  Known known;      // of the total
};

Exponentials exponentials(Engine& engine, const Secret& x_in, int64_t dim_in) {
  const Secret x = engine.settle(x_in);
  const auto dims = static_cast<int64_t>(x.sizes().size());
  if (dim_in < -dims || dim_in >= dims) {
    throw ShapeError(fmt::format("dim is {}; allowed are {} to {}", dim_in, -dims, dims - 1));
  }
  const int64_t dim = dim_in < 0 ? dim_in + dims : dim_in, n = x.sizes()[dim];
  if (n < 1 || n >= 1 << 15) {
    throw ShapeError(
        fmt::format("dim {} has {} elements; allowed are 1 to {}", dim_in, n, (1 << 15) - 1));
  }
  const Secret top = kept_dim(largest(engine, x, dim), dim);
  const Secret distance = engine.subtract(x, top);
  const auto reach = static_cast<int64_t>(std::ldexp(kReach, x.fraction_bits()));
  const Secret floor = engine.public_units(reach, x.fraction_bits());
  const Secret clamped = engine.subtract(engine.relu(engine.add(distance, floor)), floor);
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

}  // namespace

Secret softmax(Engine& engine, const Secret& x, int64_t dim) {
  const protocol::OperationScope scope(engine.statistics(), "softmax");
  const Exponentials e = exponentials(engine, x, dim);
  PowerOptions options{e.known};
  options.fraction_bits = kRatioBits;
  options.precise = true;
  const Secret inverse = power(engine, e.total, -1, options);
  const Secret powers = rounded(engine, e.powers, e.powers.fraction_bits() - kRatioBits);
  const Secret ratio = engine.wide_product(kMultiply, powers, inverse);
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

Standardized standardize(Engine& engine, const Secret& x_in, double eps) {
  if (x_in.sizes().empty() || x_in.sizes().back() == 0) {
    throw ShapeError("standardize needs a last dimension with at least 1 element");
  }
  const protocol::OperationScope scope(engine.statistics(), "standardize");
  const Secret x = engine.settle(x_in);
  const auto n = static_cast<double>(x.sizes().back());
  Secret mean = mean_of_rows(engine, x);
  Secret centred = engine.subtract(x, mean);
  if (!std::has_single_bit(static_cast<uint64_t>(x.sizes().back()))) {
    // 1 / n is rounded: what it leaves of a large mean is a small one.
    const Secret rest = mean_of_rows(engine, centred);
    mean = engine.add(mean, rest);
    centred = engine.subtract(centred, rest);
  }
  const Secret squares = engine.sum(engine.square(centred), {-1}, true);
  // sqrt(n) / sqrt(n variance + n eps): the sum needs no division.
  const int bits = squares.fraction_bits();
  // A smaller eps than a unit of the sum is as good as one: the values themselves are coarser.
  const double least = std::max(std::ldexp(n * eps, bits), 1.0);
  if (!(eps >= 0 && least < 0x1p58)) {
    throw RangeError(
        fmt::format("eps is {}; allowed are 0 to {}", eps, std::ldexp(1 / n, 58 - bits)));
  }
  const auto shift = static_cast<int64_t>(std::floor(least));
  PowerOptions options{Known{shift, 60}, std::sqrt(n)};
  // The result is below sqrt(n), so that more fraction bits fit its product.
  const int ratio_bits = std::min(kRatioBits, 40 - engine.precision() / 2);
  options.fraction_bits = ratio_bits;
  options.precise = true;
  const Secret inverse =
      power(engine, engine.add(squares, engine.public_units(shift, bits)), -0.5, options);
  const Secret ratio = engine.wide_product(kMultiply, centred, inverse);
  const Secret values = rounded(engine, ratio, ratio.fraction_bits() - engine.precision());
  return {values, mean, inverse};
}

}  // namespace cryptensor::function
