// SPDX-License-Identifier: MIT
#include "correlation/dealing_memory.h"

#include <algorithm>

namespace cryptensor::correlation {
namespace {

// A sum of the parties' streams, one of them, and a copy in another order of what is looked at.
uint64_t mask_bytes(const MaskView& view) {
  uint64_t viewed = 8;
  for (const int64_t size : view.sizes) viewed *= static_cast<uint64_t>(size);
  return 16 * view.mask.numel + viewed;
}

// ATen lays the inputs of each output of a convolution side by side.
uint64_t column_bytes(const Descriptor& d) {
  if (d.map.kind != ring::Bilinear::convolution) return 0;
  const std::vector<int64_t> out = d.output_sizes();
  uint64_t columns = 8;
  for (size_t i = 1; i < d.right.sizes.size(); ++i) columns *= d.right.sizes[i];
  for (size_t i = 2; i < out.size(); ++i) columns *= out[i];
  // Of one sample for each of its groups, or of all samples at once.
  return columns * d.map.convolution.groups * out[0];
}

}  // namespace

uint64_t dealing_bytes(const Descriptor& d) {
  const uint64_t corrections = d.correction_bytes();
  switch (d.kind) {
    case Kind::bilinear: {
      const uint64_t right = d.right == d.left ? 0 : mask_bytes(d.right);
      return 3 * corrections + mask_bytes(d.left) + right + column_bytes(d);
    }
    case Kind::truncation:
      return 2 * corrections + mask_bytes(d.left);
    case Kind::point:
      // The levels of one tree at a time.
      return 3 * corrections + (uint64_t{64} << d.size);
    default:
      // In blocks; or the corrections, a party's part of them, and a mask that is no larger.
      return d.in_blocks() ? corrections + (uint64_t{1} << 20) : 3 * corrections;
  }
}

}  // namespace cryptensor::correlation
