// SPDX-License-Identifier: MIT
#include "correlation/segments_layout.h"

#include <algorithm>

namespace cryptensor::correlation {
namespace {

uint16_t word_of(uint64_t t, int group) { return static_cast<uint16_t>(t >> (16 * group)); }

// Can c - t borrow from this word for some c?
bool may_borrow(uint64_t t, int group) { return (t & ((uint64_t{1} << (16 * group)) - 1)) != 0; }

}  // namespace

SegmentsLayout::SegmentsLayout(size_t elements, const std::vector<uint64_t>& thresholds_in,
                               int degree_in)
    : n(elements),
      words((elements + 63) / 64),
      padded(64 * words),
      blocks((words + kWordsPerBlock - 1) / kWordsPerBlock),
      thresholds(thresholds_in),
      degree(degree_in),
      paths(thresholds_in.size()) {
  for (int g = 0; g < kGroups; ++g) {
    const auto node_of = [&](uint16_t subtrahend) {
      const auto same = [&](const Node& node) {
        return node.group == g && node.subtrahend == subtrahend;
      };
      const auto found = std::find_if(nodes.begin(), nodes.end(), same);
      if (found != nodes.end()) return static_cast<int>(found - nodes.begin());
      nodes.push_back({g, subtrahend});
      return static_cast<int>(nodes.size() - 1);
    };
    for (size_t j = 0; j < thresholds.size(); ++j) {
      const uint16_t word = word_of(thresholds[j], g);
      int* node = paths[j].node[g];
      node[0] = node_of(word);
      node[1] = may_borrow(thresholds[j], g) ? node_of(static_cast<uint16_t>(word + 1)) : node[0];
    }
  }
  opened1 = products1 = 0;
  for (const Node& node : nodes) {
    opened1 += opened_of(node);
    products1 += products_of(node);
  }
  opened2 = Top::kOpened * count();
  products2 = Top::kProducts * count();
  size_t at = 0;
  const auto field = [&at](size_t bytes) {
    const size_t start = at;
    at += bytes;
    return start;
  };
  level1 = field(8 * words * products1);
  level2 = field(8 * words * products2);
  bit_offset = field(8 * words * count());
  values = field(8 * padded * value_fields());
  tables = field(2 * padded * 16);
  correction_bytes = at;
}

}  // namespace cryptensor::correlation
