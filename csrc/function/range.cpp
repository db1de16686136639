// SPDX-License-Identifier: MIT
#include "function/range.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/max.h>

#include <bit>
#include <numeric>

#include "fixedpoint/fixedpoint.h"
#include "function/domain.h"

namespace cryptensor::function {
namespace {

using protocol::Engine;
using protocol::Secret;

constexpr int kBits = fixedpoint::kMagnitudeBits;
constexpr const char* kMessage =
    "the result of a sum or product has a value outside the range of the encoding; see the "
    "table of csrc/fixedpoint/README.md for what is allowed";

// |X| < 2^limit for a value in the range: as many bits less as it will be raised by.
int limit_bits(const Engine& e, int fraction_bits) {
  return kBits - std::max(0, e.precision() - fraction_bits);
}

Secret settled(Engine& e, const Secret& a) {
  return a.fraction_bits() > e.precision() ? e.settle(a) : a;
}

// The same words as an integer.
Secret integers(const Secret& a) { return Secret(a.share(), 0, a.owner()); }

// Whether x lies outside [-limit, limit), for |x| < 2^62: bits, added up.
Secret count_outside(Engine& e, const Secret& x, int64_t limit) {
  const protocol::Piecewise form{{-limit, limit}, 0, {{0, {1, 0, 1}}}};
  return e.sum(e.piecewise(integers(x), form)[0], {}, false);
}

// Raises unless all of x is in the range; x is the sum of two values that are, so it has not
// wrapped.
void check_sum(Engine& e, const Secret& x) {
  const int shift = kBits - limit_bits(e, x.fraction_bits());
  const Secret raised = integers(e.multiplied(x, int64_t{1} << shift, 0));
  const Secret bit = e.at_least_zero(e.add(raised, e.public_units(int64_t{1} << kBits, 0)));
  check_domain(e, e.subtract(e.public_units(1, 0), bit), kMessage);
}

int64_t terms(const ring::BilinearMap& map, const Secret& a, const Secret& b) {
  switch (map.kind) {
    case ring::Bilinear::multiply:
      return 1;
    case ring::Bilinear::matmul:
      return a.sizes().empty() ? 1 : a.sizes().back();
    case ring::Bilinear::convolution:
      break;
  }
  const auto& kernel = b.sizes();
  return std::accumulate(kernel.begin() + 1, kernel.end(), int64_t{1}, std::multiplies<>());
}

int bits_of(int64_t count) {
  return std::bit_width(static_cast<uint64_t>(std::max<int64_t>(count, 1) - 1));
}

void check_factor(Engine& e, const Secret& x, const at::Tensor& factor, int64_t terms,
                  int result_bits) {
  if (factor.numel() == 0 || x.numel() == 0) return;
  const auto largest = static_cast<unsigned __int128>(at::abs(factor).max().item<int64_t>());
  const auto most = largest * static_cast<unsigned __int128>(std::max<int64_t>(terms, 1));
  const auto allowed = (static_cast<unsigned __int128>(1) << limit_bits(e, result_bits));
  // Not more than every value has anyway.
  if (most == 0 || allowed / most >= static_cast<unsigned __int128>(1)
                                         << limit_bits(e, x.fraction_bits()))
    return;
  check_domain(e, count_outside(e, x, static_cast<int64_t>(allowed / most)), kMessage);
}

// a = high * 2^bits + low, 0 <= low < 2^bits.
struct Limbs {
  Secret high, low;
};

Limbs limbs(Engine& e, const Secret& a, int bits) {
  const Secret high =
      e.truncate(Secret(a.share(), bits, a.owner()), bits, protocol::Truncation::exact);
  return {high, e.subtract(integers(a), e.multiplied(high, int64_t{1} << bits, 0))};
}

// The product in limbs of s bits, of which none wraps: its part above 2^(2s) tells exactly how
// large it is.
void check_product(Engine& e, const ring::BilinearMap& map, const Secret& a, const Secret& b) {
  if (a.numel() == 0 || b.numel() == 0) return;
  const int result_bits = a.fraction_bits() + b.fraction_bits();
  const int s = (kBits - 2 - bits_of(terms(map, a, b))) / 2;
  const Limbs x = limbs(e, a, s), y = limbs(e, b, s);
  const Secret low = e.product(map, x.low, y.low);
  const Secret middle = e.add(e.product(map, x.high, y.low), e.product(map, x.low, y.high));
  const Secret high = e.product(map, x.high, y.high);
  const Secret carried = e.add(middle, limbs(e, low, s).high);
  const Secret top = e.add(high, limbs(e, carried, s).high);
  Secret outside =
      e.add(count_outside(e, x.high, int64_t{1} << s), count_outside(e, y.high, int64_t{1} << s));
  outside = e.add(outside, count_outside(e, top, int64_t{1} << (kBits - 2 * s)));
  check_domain(e, outside, kMessage);
  const int limit = limit_bits(e, result_bits);
  // Of integers, which are to be raised some day: the product is what it should be by now.
  if (limit < kBits)
    check_domain(e, count_outside(e, e.product(map, a, b), int64_t{1} << limit), kMessage);
}

}  // namespace

Secret add(Engine& e, const Secret& a, const Secret& b) {
  if (!e.checked()) return e.add(a, b);
  const Secret result = e.add(settled(e, a), settled(e, b));
  check_sum(e, result);
  return result;
}

Secret subtract(Engine& e, const Secret& a, const Secret& b) {
  if (!e.checked()) return e.subtract(a, b);
  const Secret result = e.subtract(settled(e, a), settled(e, b));
  check_sum(e, result);
  return result;
}

Secret difference(Engine& e, const Secret& a, const Secret& b) {
  return e.checked() ? e.subtract(settled(e, a), settled(e, b)) : e.subtract(a, b);
}

Secret sum(Engine& e, const Secret& a, at::IntArrayRef dims, bool keepdim) {
  if (!e.checked() || a.sizes().empty() || a.numel() == 0) return e.sum(a, dims, keepdim);
  const Secret x = settled(e, a);
  // What is summed comes last, in the order in which the prefixes are taken.
  const int64_t rank = static_cast<int64_t>(x.sizes().size());
  std::vector<int64_t> kept, summed;
  for (int64_t d = 0; d < rank; ++d) {
    const bool among = dims.empty() || std::any_of(dims.begin(), dims.end(), [&](int64_t given) {
                         return (given + rank) % rank == d;
                       });
    (among ? summed : kept).push_back(d);
  }
  const int64_t rows = std::accumulate(kept.begin(), kept.end(), int64_t{1},
                                       [&](int64_t n, int64_t d) { return n * x.sizes()[d]; });
  kept.insert(kept.end(), summed.begin(), summed.end());
  const Secret last = integers(x.rearranged(x.share().permute(kept).reshape({rows, -1}).clone()));
  const Secret prefixes = e.cumulative_sum(last, 1);
  check_sum(e, Secret(prefixes.share(), x.fraction_bits(), x.owner()));
  return e.sum(x, dims, keepdim);
}

Secret cumulative_sum(Engine& e, const Secret& a, int64_t dim) {
  if (!e.checked()) return e.cumulative_sum(a, dim);
  const Secret result = e.cumulative_sum(settled(e, a), dim);
  check_sum(e, result);
  return result;
}

Secret scale(Engine& e, const Secret& a, double factor) {
  if (!e.checked()) return e.scale(a, factor);
  const Secret x = settled(e, a);
  const auto scalar = fixedpoint::encode_scalar(factor, e.precision());
  check_factor(e, x, e.public_units(scalar.mantissa, 0).share(), 1,
               x.fraction_bits() + scalar.shift);
  return settled(e, e.scale(x, factor));
}

Secret product(Engine& e, const ring::BilinearMap& map, const Secret& a, const Secret& b) {
  if (!e.checked()) return e.product(map, a, b);
  const Secret x = settled(e, a), y = settled(e, b);
  map.output_sizes(x.sizes(), y.sizes());  // ShapeError before anything is sent
  const int result_bits = x.fraction_bits() + y.fraction_bits();
  if (x.is_public() || y.is_public()) {
    const auto& [secret, known] = y.is_public() ? std::tie(x, y) : std::tie(y, x);
    check_factor(e, secret, known.share(), terms(map, x, y), result_bits);
  } else {
    check_product(e, map, x, y);
  }
  return settled(e, e.product(map, x, y));
}

std::vector<Secret> aligned(Engine& e, const std::vector<Secret>& values) {
  if (!e.checked()) return e.aligned(values);
  std::vector<Secret> out;
  for (const Secret& value : values) out.push_back(settled(e, value));
  return e.aligned(out);
}

Secret square(Engine& e, const Secret& a) {
  if (!e.checked()) return e.square(a);
  const Secret x = settled(e, a);
  if (!x.is_public()) check_product(e, {ring::Bilinear::multiply, {}}, x, x);
  return settled(e, e.square(x));
}

}  // namespace cryptensor::function
