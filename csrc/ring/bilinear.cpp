// SPDX-License-Identifier: MIT
#include "ring/bilinear.h"

#include <ATen/ExpandUtils.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/mv.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/errors.h"

namespace cryptensor::ring {
namespace {

std::vector<int64_t> broadcast(at::IntArrayRef a, at::IntArrayRef b, const char* what) {
  const size_t rank = std::max(a.size(), b.size());
  std::vector<int64_t> out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t da = i < rank - a.size() ? 1 : a[i - (rank - a.size())];
    const int64_t db = i < rank - b.size() ? 1 : b[i - (rank - b.size())];
    if (da != db && da != 1 && db != 1) {
      throw ShapeError(fmt::format("{}: shapes [{}] and [{}] do not broadcast", what,
                                   fmt::join(a, ", "), fmt::join(b, ", ")));
    }
    out[i] = da == 1 ? db : da;
  }
  return out;
}

std::vector<int64_t> matmul_sizes(at::IntArrayRef a, at::IntArrayRef b) {
  const auto refuse = [&] {
    throw ShapeError(fmt::format("matmul: shapes [{}] and [{}] do not fit", fmt::join(a, ", "),
                                 fmt::join(b, ", ")));
  };
  if (a.empty() || b.empty()) refuse();
  const int64_t inner_left = a.back();
  const int64_t inner_right = b.size() == 1 ? b[0] : b[b.size() - 2];
  if (inner_left != inner_right) refuse();
  const auto batch_a = a.size() > 2 ? a.slice(0, a.size() - 2) : at::IntArrayRef();
  const auto batch_b = b.size() > 2 ? b.slice(0, b.size() - 2) : at::IntArrayRef();
  std::vector<int64_t> out = broadcast(batch_a, batch_b, "matmul");
  if (a.size() > 1) out.push_back(a[a.size() - 2]);
  if (b.size() > 1) out.push_back(b.back());
  return out;
}

std::vector<int64_t> convolution_sizes(at::IntArrayRef x, at::IntArrayRef w,
                                       const ConvolutionShape& shape) {
  const auto refuse = [&](const char* why) {
    throw ShapeError(fmt::format("convolution: input [{}], weight [{}]: {}", fmt::join(x, ", "),
                                 fmt::join(w, ", "), why));
  };
  const size_t spatial = shape.stride.size();
  if (spatial < 1 || spatial > 2) refuse("one or two spatial dimensions are supported");
  if (shape.padding.size() != spatial || shape.dilation.size() != spatial) {
    refuse("stride, padding and dilation need one entry for each spatial dimension");
  }
  if (x.size() != spatial + 2 || w.size() != spatial + 2) refuse("the ranks do not fit");
  if (shape.groups < 1 || x[1] != w[1] * shape.groups || w[0] < 1 || w[0] % shape.groups != 0) {
    refuse("the channels do not fit the groups");
  }
  std::vector<int64_t> out{x[0], w[0]};
  for (size_t i = 0; i < spatial; ++i) {
    if (shape.stride[i] < 1 || shape.dilation[i] < 1 || shape.padding[i] < 0) {
      refuse("stride and dilation must be positive, padding not negative");
    }
    if (x[i + 2] < 1 || w[i + 2] < 1) refuse("a spatial dimension is empty");
    const int64_t span = x[i + 2] + 2 * shape.padding[i] - shape.dilation[i] * (w[i + 2] - 1) - 1;
    if (span < 0) refuse("the kernel is larger than the padded input");
    out.push_back(span / shape.stride[i] + 1);
  }
  return out;
}

}  // namespace

std::vector<int64_t> BilinearMap::output_sizes(at::IntArrayRef left, at::IntArrayRef right) const {
  switch (kind) {
    case Bilinear::multiply:
      return broadcast(left, right, "mul");
    case Bilinear::matmul:
      return matmul_sizes(left, right);
    case Bilinear::convolution:
      return convolution_sizes(left, right, convolution);
  }
  throw Error("unknown bilinear map");
}

at::Tensor BilinearMap::operator()(const at::Tensor& left, const at::Tensor& right) const {
  switch (kind) {
    case Bilinear::multiply:
      return at::mul(left, right);
    case Bilinear::matmul:
      // A single row, as in inference on one sample: ATen's vector kernel reads a transposed matrix
      // along its memory and is three times as fast as its matrix kernel.
      if (left.dim() == 2 && right.dim() == 2 && left.size(0) == 1) {
        return at::mv(right.t(), left.select(0, 0)).unsqueeze(0);
      }
      return at::matmul(left, right);
    case Bilinear::convolution: {
      const std::vector<int64_t> none(convolution.stride.size(), 0);
      return at::convolution(left, right, {}, convolution.stride, convolution.padding,
                             convolution.dilation, /*transposed=*/false, none, convolution.groups);
    }
  }
  throw Error("unknown bilinear map");
}

}  // namespace cryptensor::ring
