// SPDX-License-Identifier: MIT
// Descriptors of every kind, as a program would ask for them.
#pragma once

#include <algorithm>
#include <vector>

#include "correlation/descriptor.h"

namespace cryptensor::correlation::examples {

using Sizes = std::vector<int64_t>;

inline MaskName mask_name(uint64_t serial, uint64_t numel, uint32_t holders,
                          bool long_lived = false) {
  return {serial, Descriptor::make_mask(numel, holders).digest(), numel, holders, long_lived};
}

inline MaskView whole(const MaskName& mask, const Sizes& sizes) {
  MaskView view{mask, sizes, Sizes(sizes.size()), 0};
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    view.strides[i] = step;
    step *= std::max<int64_t>(sizes[i], 1);
  }
  return view;
}

inline ring::BilinearMap multiply() { return {ring::Bilinear::multiply, {}}; }
inline ring::BilinearMap matmul() { return {ring::Bilinear::matmul, {}}; }
inline ring::BilinearMap convolution(Sizes stride, Sizes padding, Sizes dilation, int64_t groups) {
  return {ring::Bilinear::convolution,
          {std::move(stride), std::move(padding), std::move(dilation), groups}};
}

// For two parties; the masks have the serials 0 and 1.
inline std::vector<Descriptor> all_kinds() {
  const MaskName a = mask_name(0, 24, 3), b = mask_name(1, 24, 3, true);
  const MaskName owned = mask_name(1, 24, 1);
  return {
      Descriptor::make_mask(100, 3),
      Descriptor::make_mask(0, 1),
      Descriptor::make_bilinear(multiply(), whole(a, {2, 3, 4}), whole(b, {2, 3, 4})),
      Descriptor::make_bilinear(multiply(), whole(a, {24}), whole(a, {24})),
      Descriptor::make_bilinear(multiply(), whole(a, {6, 1, 4}), {b, {5, 4}, {0, 2}, 3}),
      Descriptor::make_bilinear(matmul(), whole(a, {4, 6}), {owned, {6, 4}, {1, 6}, 0}),
      Descriptor::make_bilinear(matmul(), whole(a, {2, 4, 3}), whole(b, {2, 3, 4})),
      Descriptor::make_bilinear(convolution({1}, {1}, {1}, 1), whole(a, {1, 3, 8}),
                                {b, {2, 3, 3}, {9, 3, 1}, 0}),
      Descriptor::make_bilinear(convolution({2, 1}, {1, 0}, {1, 1}, 2), whole(a, {1, 2, 4, 3}),
                                {b, {2, 1, 2, 2}, {4, 4, 2, 1}, 5}),
      Descriptor::make_truncation(whole(a, {24}), 16),
      Descriptor::make_truncation({a, {3, 4}, {8, 2}, 1}, 20),
      Descriptor::make_wrap(65, 16),
      Descriptor::make_wrap(10, 24),
      Descriptor::make_comparison(65, Comparison::sign, 0),
      Descriptor::make_comparison(10, Comparison::relu, 0),
      Descriptor::make_comparison(513, Comparison::relu_truncate, 16),
      Descriptor::make_comparison(10, Comparison::relu_truncate, 28),
      Descriptor::make_comparison(10, Comparison::low_bits, 7),
      Descriptor::make_comparison(10, Comparison::sign, 0, {1, 2}),
      Descriptor::make_segments(65, {uint64_t{1} << 62, 5, ~uint64_t{0}}, 0),
      Descriptor::make_segments(10, {0}, 3),
      Descriptor::make_harmonics(65, {52, 6, true}),
      Descriptor::make_harmonics(0, {64, 1, false}),
      Descriptor::make_octaves(65, {54, 57, 3, 22}),
      Descriptor::make_octaves(3, {1, 1, 6, 40}),
      Descriptor::make_equality(65),
      Descriptor::make_tournament(65),
      Descriptor::make_one_hot(5, 9),
      Descriptor::make_point(5, 10),
      Descriptor::make_choice(1030),
  };
}

}  // namespace cryptensor::correlation::examples
