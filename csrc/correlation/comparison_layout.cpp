// SPDX-License-Identifier: MIT
#include "correlation/comparison_layout.h"

namespace cryptensor::correlation {

ComparisonLayout::ComparisonLayout(size_t elements, Comparison mode_in, int shift_in,
                                   Significant significant_in)
    : n(elements),
      words((elements + 63) / 64),
      padded(64 * words),
      blocks((words + kWordsPerBlock - 1) / kWordsPerBlock),
      mode(mode_in),
      shift(shift_in),
      significant(significant_in),
      wrap_bytes(shift_in <= 16 ? 2 : 4),
      truncates(mode == Comparison::relu_truncate || mode == Comparison::low_bits),
      selects(mode == Comparison::relu || mode == Comparison::relu_truncate) {
  const auto take_tree = [this](auto tree) {
    chunks = tree.kChunks;
    opened1 = tree.kOpened1;
    opened2 = tree.kOpened2;
    products1 = tree.kProducts1;
    products2 = tree.kProducts2;
  };
  if (mode == Comparison::low_bits) {
    take_tree(TreeShape<1>());
  } else if (significant.words == 2) {
    take_tree(TreeShape<2>());
  } else {
    take_tree(TreeShape<4>());
  }
  size_t at = 0;
  const auto field = [&at](size_t bytes) {
    const size_t start = at;
    at += bytes;
    return start;
  };
  // Eight-byte fields first, so that every field is aligned to its element.
  level1 = field(8 * words * products1);
  level2 = field(8 * words * products2);
  bit_offset = field(8 * words);
  bit = field(8 * padded);
  shifted = field(truncates ? 8 * padded : 0);
  selected = field(selects ? 8 * padded : 0);
  tables = field(2 * padded * chunks);
  wrap = field(truncates ? wrap_bytes * padded : 0);
  selected_wrap = field(truncates && selects ? wrap_bytes * padded : 0);
  correction_bytes = at;
}

}  // namespace cryptensor::correlation
