// SPDX-License-Identifier: MIT
#include "correlation/point_function.h"

#include <algorithm>
#include <vector>

namespace cryptensor::correlation {
namespace {

using crypto::Block;

// All bits of a word, or none. Bits of points and nodes are secret: no branch may depend on them,
// and of a condition the compiler would make one.
uint64_t spread(uint64_t bit) { return -(bit & 1); }

Block masked(const Block& block, uint64_t bit) {
  const uint64_t kept = spread(bit);
  return {block.low & kept, block.high & kept};
}

uint64_t negated_if(uint64_t bit, uint64_t value) { return (value ^ spread(bit)) + (bit & 1); }

}  // namespace

void PointFunction::make_key(uint64_t point, const Block& first_seed, Block difference,
                             Block* second_seed, uint64_t* words) const {
  difference.low |= 1;
  *second_seed = first_seed ^ difference;
  Block node[2] = {first_seed, *second_seed};
  for (int level = 0; level + 1 < bits_; ++level, words += 2) {
    const uint64_t right = point >> (bits_ - 1 - level);
    const Block left[2] = {inner_(node[0]), inner_(node[1])};
    const Block correction = left[0] ^ left[1] ^ masked(difference, ~right);
    words[0] = correction.low;
    words[1] = correction.high;
    for (int p = 0; p < 2; ++p) {
      const Block child = left[p] ^ masked(correction, node[p].low);
      node[p] = child ^ masked(node[p], right);
    }
  }
  const Block leaf[2] = {leaves_(node[0]), leaves_(node[1])};
  const uint64_t value[2] = {~point & 1, point & 1};
  const uint64_t low = value[0] - leaf[0].low + leaf[1].low;
  const uint64_t high = value[1] - leaf[0].high + leaf[1].high;
  words[0] = negated_if(node[1].low, low);
  words[1] = negated_if(node[1].low, high);
}

// Nodes of a level in order; from the back, so that children overwrite no parent that is needed.
void PointFunction::grow(Block* nodes, Block* scratch, int levels, const uint64_t* words) const {
  for (int level = 0; level < levels; ++level, words += 2) {
    const size_t count = size_t{1} << level;
    const Block correction{words[0], words[1]};
    inner_(nodes, scratch, count);
    for (size_t i = count; i-- > 0;) {
      const Block parent = nodes[i];
      const Block left = scratch[i] ^ masked(correction, parent.low);
      nodes[2 * i] = left;
      nodes[2 * i + 1] = left ^ parent;
    }
  }
}

void PointFunction::evaluate(int party, const Block& seed, const uint64_t* words,
                             uint64_t* out) const {
  // Subtrees that stay in cache, below the nodes of one level.
  constexpr int kSubtree = 9;
  const int levels = bits_ - 1, top = std::max(levels - kSubtree, 0), below = levels - top;
  const size_t roots = size_t{1} << top, leaves = size_t{1} << below;
  std::vector<Block> upper(roots), upper_scratch(roots);
  upper[0] = seed;
  grow(upper.data(), upper_scratch.data(), top, words);
  words += 2 * top;
  const uint64_t* const last = words + 2 * below;
  Block nodes[1 << kSubtree], hashed[1 << kSubtree];
  for (const Block& root : upper) {
    nodes[0] = root;
    grow(nodes, hashed, below, words);
    leaves_(nodes, hashed, leaves);
    for (size_t i = 0; i < leaves; ++i) {
      const uint64_t corrects = spread(nodes[i].low);
      const uint64_t low = hashed[i].low + (corrects & last[0]);
      const uint64_t high = hashed[i].high + (corrects & last[1]);
      *out++ = party == 0 ? low : -low;
      *out++ = party == 0 ? high : -high;
    }
  }
}

}  // namespace cryptensor::correlation
