// SPDX-License-Identifier: MIT
// Is a secret zero? With c = x + r opened, x is 0 exactly where c = r: sixteen one-hot tables of
// the chunks of r, read at c, and ANDs of six, five and five of them. The three bits that are left
// are opened under mask bits, and the last AND is one entry of the one-hot of those: three rounds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "correlation/comparison_layout.h"

namespace cryptensor::correlation {

enum class EqualityStream : uint64_t {
  mask,
  level1_masks,
  level2_masks,
  tables,
  level1_products,
  values,  // this one and those behind it
};

// Subsets of at least two of the mask bits of a node: what the dealer shares for an AND.
constexpr int and_products(int fan) { return (1 << fan) - 1 - fan; }

struct EqualityLayout {
  explicit EqualityLayout(size_t elements)
      : n(elements),
        words((elements + 63) / 64),
        padded(64 * words),
        blocks((words + kWordsPerBlock - 1) / kWordsPerBlock),
        values(8 * words * kProducts1),
        tables(values + 8 * padded * kValues),
        correction_bytes(tables + 2 * padded * 16) {}

  static constexpr int kNodes = 3;
  static constexpr int kFirst[kNodes] = {0, 6, 11}, kFan[kNodes] = {6, 5, 5};
  static constexpr int kOpened1 = 16, kOpened2 = kNodes;
  static constexpr int kProducts1 = and_products(6) + 2 * and_products(5);
  static constexpr int kValues = 1 << kNodes;  // one-hot of the mask bits of level two

  size_t n, words, padded, blocks;
  size_t values, tables, correction_bytes;  // the products come first

  static constexpr int kRounds = 3;
  size_t masked_bytes() const { return 8 * n; }
  size_t level1_bytes() const { return 8 * words * kOpened1; }
  size_t level2_bytes() const { return 8 * words * kOpened2; }
  size_t opened_bytes() const { return masked_bytes() + level1_bytes() + level2_bytes(); }
  int words_in_block(size_t block) const {
    const size_t left = words - kWordsPerBlock * block;
    return static_cast<int>(left < kWordsPerBlock ? left : kWordsPerBlock);
  }
};

}  // namespace cryptensor::correlation
