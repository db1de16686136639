// SPDX-License-Identifier: MIT
// Many public thresholds against one opened secret: what is opened in which round, which bytes the
// dealer corrects, and which PRG stream masks what. Dealer and parties share it.
//
// x is opened once as c = x + r. The bit [x >= t] needs [(c - t) mod 2^63 < r mod 2^63], so every
// threshold reads the same tables of r, at c - t. A word (16 bits) of c - t is the word of c less
// the word of t and a public borrow: thresholds that agree in a word share its node of the tree.
// The bits b_j = [x >= t_j] stay hidden behind the dealer's bits v_j, and with shares of v_j r^i
// the parties have shares of b_j x^i, from which every piecewise polynomial of x follows locally.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "correlation/comparison_layout.h"

namespace cryptensor::correlation {

constexpr int kMaxThresholds = 32;
constexpr int kMaxDegree = 3;
constexpr int kMaxForms = 8;
constexpr int kGroups = 4;  // words of an element

enum class SegmentStream : uint64_t {
  mask,
  level1_masks,
  level2_masks,
  tables,
  level1_products,
  level2_products,
  bit_offset,
  bits,    // the dealer's own
  values,  // this one and those behind it: one per field of eight-byte values
};

struct SegmentsLayout {
  SegmentsLayout(size_t elements, const std::vector<uint64_t>& thresholds, int degree);

  size_t n, words, padded, blocks;  // as in ComparisonLayout
  std::vector<uint64_t> thresholds;
  int degree;

  // The comparison of one word of c - t with the word of r.
  struct Node {
    int group;
    uint16_t subtrahend;
  };
  std::vector<Node> nodes;  // by group
  // The node of each word of a threshold, without and with a borrow from the words below.
  struct Path {
    int node[kGroups][2];
    bool borrows(int group) const { return node[group][0] != node[group][1]; }
  };
  std::vector<Path> paths;

  using Low = NodeShape<4, false>;
  using High = NodeShape<4, true>;
  using Top = NodeShape<kGroups, false>;
  int opened_of(const Node& node) const { return node.group == 0 ? Low::kOpened : High::kOpened; }
  int products_of(const Node& node) const {
    return node.group == 0 ? Low::kProducts : High::kProducts;
  }

  int opened1, products1, opened2, products2;
  // Fields of the corrections. Values: v_j r^i for i = 0..degree, threshold by threshold, then r^i
  // for i = 2..degree.
  size_t level1, level2, bit_offset, values, tables;
  size_t correction_bytes;

  int count() const { return static_cast<int>(thresholds.size()); }
  int value_fields() const { return count() * (degree + 1) + powers(); }
  int powers() const { return degree > 1 ? degree - 1 : 0; }
  size_t value_offset(int field) const { return values + 8 * padded * field; }

  size_t masked_bytes() const { return 8 * n; }
  size_t level1_bytes() const { return 8 * words * opened1; }
  size_t level2_bytes() const { return 8 * words * opened2; }
  size_t bit_bytes() const { return 8 * words * count(); }
  static constexpr int kRounds = 4;
  size_t opened_bytes() const {
    return masked_bytes() + level1_bytes() + level2_bytes() + bit_bytes();
  }
  int words_in_block(size_t block) const {
    const size_t left = words - kWordsPerBlock * block;
    return static_cast<int>(left < kWordsPerBlock ? left : kWordsPerBlock);
  }
};

}  // namespace cryptensor::correlation
