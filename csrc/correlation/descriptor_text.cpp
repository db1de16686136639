// SPDX-License-Identifier: MIT
// What a correlation is, for messages and tables.
#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "correlation/plan.h"

namespace cryptensor::correlation {
namespace {

const char* name(ring::Bilinear kind) {
  switch (kind) {
    case ring::Bilinear::multiply:
      return "product";
    case ring::Bilinear::matmul:
      return "matmul";
    case ring::Bilinear::convolution:
      return "convolution";
  }
  return "product";
}

const char* name(Comparison mode) {
  switch (mode) {
    case Comparison::sign:
      return "comparison";
    case Comparison::relu:
      return "relu";
    case Comparison::relu_truncate:
      return "relu with truncation";
    case Comparison::low_bits:
      return "exact truncation";
  }
  return "comparison";
}

std::string elements(const char* what, uint64_t n) {
  return fmt::format("{} of {} element{}", what, n, n == 1 ? "" : "s");
}

}  // namespace

std::string describe(const Descriptor& d) {
  switch (d.kind) {
    case Kind::mask:
      return elements("mask", d.numel);
    case Kind::bilinear:
      return fmt::format("{} of [{}] and [{}]", name(d.map.kind), fmt::join(d.left.sizes, ", "),
                         fmt::join(d.right.sizes, ", "));
    case Kind::truncation:
      return elements(fmt::format("truncation by {} bits", d.shift).c_str(),
                      c10::multiply_integers(d.left.sizes));
    case Kind::wrap:
      return elements(fmt::format("one-bit truncation by {} bits", d.shift).c_str(), d.numel);
    case Kind::comparison:
      return elements(name(d.comparison), d.numel);
    case Kind::segments:
      return elements(fmt::format("piecewise function with {} thresholds, degree {},",
                                  d.thresholds.size(), d.degree)
                          .c_str(),
                      d.numel);
    case Kind::harmonics:
      return elements(fmt::format("series of {} terms", d.harmonics.count).c_str(), d.numel);
    case Kind::octaves:
      return elements("power of two", d.numel);
    case Kind::equality:
      return elements("equality", d.numel);
    case Kind::tournament:
      return fmt::format("largest of four, {} times", d.numel);
    case Kind::one_hot:
    case Kind::point:
      return elements("one-hot", d.numel);
    case Kind::choice:
      return elements("choice", d.numel);
  }
  return "unknown";
}

uint64_t multiplications(const Descriptor& d) {
  if (d.kind != Kind::bilinear) return 0;
  const uint64_t out = c10::multiply_integers(d.output_sizes());
  switch (d.map.kind) {
    case ring::Bilinear::multiply:
      return out;
    case ring::Bilinear::matmul:
      return out * d.left.sizes.back();
    case ring::Bilinear::convolution:  // all that one element of the output reads
      return d.right.sizes[0] == 0
                 ? 0
                 : out * (c10::multiply_integers(d.right.sizes) / d.right.sizes[0]);
  }
  return 0;
}

}  // namespace cryptensor::correlation
