// SPDX-License-Identifier: MIT
// The bilinear maps of the ring Z_2^64 that a party and the dealer both evaluate.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace cryptensor::ring {

enum class Bilinear : uint8_t { multiply = 0, matmul = 1, convolution = 2 };

// Stride, padding, dilation per spatial dimension (1 or 2 of them) and groups, as torch.conv1d/2d.
struct ConvolutionShape {
  std::vector<int64_t> stride, padding, dilation;
  int64_t groups = 1;
};

// A bilinear map with its parameters: wrapping int64 arithmetic, torch's shape rules.
struct BilinearMap {
  Bilinear kind = Bilinear::multiply;
  ConvolutionShape convolution;

  // Throws ShapeError when the operands do not fit.
  std::vector<int64_t> output_sizes(at::IntArrayRef left, at::IntArrayRef right) const;
  at::Tensor operator()(const at::Tensor& left, const at::Tensor& right) const;
};

}  // namespace cryptensor::ring
