// SPDX-License-Identifier: MIT
// Shape of the comparison by truth tables and a tree of fan-in four: what is opened in which round,
// which bytes the dealer corrects, and which PRG stream masks what. Dealer and parties share it.
//
// A secret x is opened as c = x + r. With 4-bit chunks, the parties hold XOR shares of the table
// lt_i[j] = (j < r_i) and read entry j = c_i of their share; eq follows from lt. Nodes of fan-in
// four combine (lt, eq) pairs: L = l3 ^ e3 l2 ^ e3 e2 l1 ^ e3 e2 e1 l0 and E = e3 e2 e1 e0, with
// the inputs opened under mask bits whose monomials the dealer has shared. One bit [c < r] comes
// out.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cryptensor::correlation {

enum class Comparison : uint8_t {
  sign = 0,           // [x >= 0] as a ring element
  relu = 1,           // max(x, 0)
  relu_truncate = 2,  // max(trunc(x, shift), 0)
  low_bits = 3,       // floor(x / 2^shift), shift <= 16: only the low bits are compared
};

// One node of the tree with F leaves (l_i, e_i), leaf 0 lowest. Opened are e_1..e_{F-1},
// l_0..l_{F-2} and, when the node also outputs E, e_0. l_{F-1} enters linearly and stays hidden.
template <int F, bool kWithEqual>
struct NodeShape {
  static constexpr int kOpened = 2 * (F - 1) + (kWithEqual ? 1 : 0);
  static constexpr int kSubsetStep = kWithEqual ? 1 : 2;  // without e_0, bit 0 is in no subset
  static constexpr int count_products() {
    int count = 0;
    for (int s = 0; s < (1 << F); s += kSubsetStep) count += __builtin_popcount(s) >= 2;
    for (int j = F - 2; j >= 0; --j) {
      for (int s = 1; s < (1 << F); ++s) count += (s & ((2 << j) - 1)) == 0;
    }
    return count;
  }
  static constexpr int kProducts = count_products();
};

// kWords = 4: chunks of the low 63 bits, two levels. kWords = 2: those of 31 bits, two levels.
// kWords = 1: the low 16 bits, one level.
template <int kWords>
struct TreeShape {
  using Low = NodeShape<4, false>;
  using High = NodeShape<4, true>;
  using Top = NodeShape<kWords, false>;
  static constexpr int kChunks = 4 * kWords;
  static constexpr int kOpened1 = Low::kOpened + (kWords - 1) * High::kOpened;
  static constexpr int kProducts1 = Low::kProducts + (kWords - 1) * High::kProducts;
  static constexpr int kOpened2 = kWords == 1 ? 0 : Top::kOpened;
  static constexpr int kProducts2 = kWords == 1 ? 0 : Top::kProducts;
};
static_assert(TreeShape<4>::kOpened1 == 27 && TreeShape<4>::kOpened2 == 6);
static_assert(TreeShape<2>::kOpened1 == 13 && TreeShape<2>::kOpened2 == 2);
static_assert(TreeShape<1>::kOpened1 == 6);

// Streams of the correlation's PRG. The first three are never corrected.
enum class ComparisonStream : uint64_t {
  mask,
  level1_masks,
  level2_masks,
  tables,
  level1_products,
  level2_products,
  bit_offset,
  shifted,
  bit,
  selected,
  wrap,
  selected_wrap
};

constexpr size_t kBlock = 512;  // elements whose bits fill one 512-bit plane
constexpr size_t kWordsPerBlock = kBlock / 64;

// The blocks that one party corrects: all of them, or every step-th where all parties deal.
struct Part {
  size_t first = 0, step = 1;
  bool has(size_t block) const { return block % step == first; }
};

// Sizes of one comparison of n elements and the byte offsets of the fields in the corrections.
// The bits that a sign test looks at. Of a value that is known to fit 32 bits above `first` words,
// the words beyond say nothing, and those below are too small to matter: half of the work. A value
// with |x| < 2^(16 first) may then get the wrong sign.
struct Significant {
  int first = 0, words = 4;  // words: 4 or, for the modes that test a sign, 2
  bool operator==(const Significant&) const = default;
};

struct ComparisonLayout {
  ComparisonLayout(size_t elements, Comparison mode, int shift, Significant significant = {});

  size_t n, words, padded, blocks;  // elements; 64-bit words of a bit plane; 64 * words; of 512
  Comparison mode;
  int shift;
  Significant significant;
  int chunks, opened1, opened2, products1, products2;
  int wrap_bytes;  // a multiple of 2^(64 - shift) needs its low `shift` bits only: 2 or 4 bytes
  bool truncates, selects;

  size_t tables, level1, level2, bit_offset, shifted, bit, selected, wrap, selected_wrap;
  size_t correction_bytes;

  // Payload of the openings: masked elements, two levels of the tree, the masked result bit.
  size_t masked_bytes() const { return 8 * n; }
  size_t level1_bytes() const { return 8 * words * opened1; }
  size_t level2_bytes() const { return 8 * words * opened2; }
  size_t bit_bytes() const { return 8 * words; }
  int rounds() const { return opened2 == 0 ? 3 : 4; }
  size_t opened_bytes() const {
    return masked_bytes() + level1_bytes() + level2_bytes() + bit_bytes();
  }
  int words_in_block(size_t block) const {
    const size_t left = words - kWordsPerBlock * block;
    return static_cast<int>(left < kWordsPerBlock ? left : kWordsPerBlock);
  }
};

}  // namespace cryptensor::correlation
