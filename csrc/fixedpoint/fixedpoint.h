// SPDX-License-Identifier: MIT
// Real numbers as ring elements: x is round(x * 2^f) in Z_2^64, two's complement.
#pragma once

#include <ATen/core/Tensor.h>

namespace cryptensor::fixedpoint {

constexpr int kMinPrecision = 8;
constexpr int kMaxPrecision = 24;
// Encoded values stay below 2^62, so that a masked truncation never loses the sign.
constexpr int kMagnitudeBits = 62;

void check_precision(int precision);  // ConfigError outside 8..24

// Rounds half to even. Any real dtype of torch on the CPU, any layout; the result is contiguous.
// RangeError for NaN, infinities and |x| >= 2^(62 - precision), naming the first index;
// ConfigError for complex, sparse, quantized or meta tensors.
at::Tensor encode(const at::Tensor& values, int fraction_bits);

// float64; exact for |element| < 2^53.
at::Tensor decode(const at::Tensor& elements, int fraction_bits);

// c = mantissa / 2^shift with the fewest fraction bits up to `limit`, rounded half to even.
struct Scalar {
  int64_t mantissa;
  int shift;
};
Scalar encode_scalar(double c, int limit);

}  // namespace cryptensor::fixedpoint
