// SPDX-License-Identifier: MIT
#include "fixedpoint/fixedpoint.h"

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <type_traits>

#include "core/errors.h"

namespace cryptensor::fixedpoint {
namespace {

std::string index_text(int64_t flat, at::IntArrayRef sizes) {
  std::vector<int64_t> index(sizes.size());
  for (size_t d = sizes.size(); d-- > 0;) {
    index[d] = flat % sizes[d];
    flat /= sizes[d];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

[[noreturn]] void refuse(double value, int64_t flat, at::IntArrayRef sizes, int fraction_bits) {
  throw RangeError(
      fmt::format("value at index {} is {}; allowed are finite values with magnitude below 2^{} "
                  "({} fraction bits)",
                  index_text(flat, sizes), value, kMagnitudeBits - fraction_bits, fraction_bits));
}

template <class T>
void encode_integers(const T* in, int64_t* out, int64_t n, at::IntArrayRef sizes, int f) {
  const T limit = T{1} << (kMagnitudeBits - f);
  const auto is_good = [limit](T v) {
    return (v < limit) & (!std::is_signed_v<T> | (v > static_cast<T>(-limit)));
  };
  // One decision for all of them: a branch for each would depend on values that are secret.
  bool fits = true;
  for (int64_t i = 0; i < n; ++i) fits &= is_good(in[i]);
  if (!fits) {
    for (int64_t i = 0; i < n; ++i) {
      if (!is_good(in[i])) refuse(static_cast<double>(in[i]), i, sizes, f);
    }
  }
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(in[i]) * (int64_t{1} << f);
}

void encode_reals(const double* in, int64_t* out, int64_t n, at::IntArrayRef sizes, int f) {
  const double scale = std::ldexp(1.0, f);
  const double limit = std::ldexp(1.0, kMagnitudeBits - f);
  bool fits = true;
  // A NaN fails every comparison, so the test is written to be true only for good values.
  for (int64_t i = 0; i < n; ++i) fits &= std::fabs(in[i]) < limit;
  if (!fits) {
    for (int64_t i = 0; i < n; ++i) {
      if (!(std::fabs(in[i]) < limit)) refuse(in[i], i, sizes, f);
    }
  }
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(std::nearbyint(in[i] * scale));
}

}  // namespace

void check_precision(int precision) {
  if (precision < kMinPrecision || precision > kMaxPrecision) {
    throw ConfigError(fmt::format("precision is {}; allowed are {} to {} fraction bits", precision,
                                  kMinPrecision, kMaxPrecision));
  }
}

at::Tensor encode(const at::Tensor& values, int fraction_bits) {
  if (!values.defined()) throw ConfigError("values: no tensor given");
  if (values.layout() != at::kStrided || !values.device().is_cpu()) {
    throw ConfigError("values: allowed are dense tensors on the CPU");
  }
  const auto type = values.scalar_type();
  // Float4 packs two numbers into an element, which no operation of torch takes apart.
  const bool real = c10::isFloatingType(type) && type != at::kFloat4_e2m1fn_x2;
  if (!real && !c10::isIntegralType(type, /*includeBool=*/true)) {
    throw ConfigError(fmt::format("values: dtype {} cannot be shared; allowed are real dtypes",
                                  c10::toString(type)));
  }
  at::Tensor out = at::empty(values.sizes(), at::kLong);
  const int64_t n = values.numel();
  if (real) {
    const at::Tensor in = values.to(at::kDouble).resolve_neg().contiguous();
    encode_reals(in.const_data_ptr<double>(), out.data_ptr<int64_t>(), n, in.sizes(),
                 fraction_bits);
  } else if (type == at::kUInt64) {  // as int64 its upper half would be negative
    const at::Tensor in = values.contiguous();
    encode_integers(in.const_data_ptr<uint64_t>(), out.data_ptr<int64_t>(), n, in.sizes(),
                    fraction_bits);
  } else {
    const at::Tensor in = values.to(at::kLong).resolve_neg().contiguous();
    encode_integers(in.const_data_ptr<int64_t>(), out.data_ptr<int64_t>(), n, in.sizes(),
                    fraction_bits);
  }
  return out;
}

at::Tensor decode(const at::Tensor& elements, int fraction_bits) {
  const at::Tensor in = elements.contiguous();
  at::Tensor out = at::empty(in.sizes(), at::kDouble);
  const int64_t* from = in.const_data_ptr<int64_t>();
  double* to = out.data_ptr<double>();
  const double step = std::ldexp(1.0, -fraction_bits);
  for (int64_t i = 0; i < in.numel(); ++i) to[i] = static_cast<double>(from[i]) * step;
  return out;
}

Scalar encode_scalar(double c, int limit) {
  if (!(std::fabs(c) < std::ldexp(1.0, kMagnitudeBits - limit))) {
    throw RangeError(fmt::format("factor is {}; allowed are finite values below 2^{}", c,
                                 kMagnitudeBits - limit));
  }
  for (int shift = 0; shift < limit; ++shift) {
    const double scaled = std::ldexp(c, shift);
    if (scaled == std::nearbyint(scaled)) return {static_cast<int64_t>(scaled), shift};
  }
  return {static_cast<int64_t>(std::nearbyint(std::ldexp(c, limit))), limit};
}

}  // namespace cryptensor::fixedpoint
