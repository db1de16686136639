// SPDX-License-Identifier: MIT
// Functions of an opened secret that split into a public factor and one that the dealer knows.
//
// With c = x + r opened, cos and sin of n (c - r) and 2^(c - r) are sums of products of a function
// of c and the same function of r. The dealer shares the functions of r; the parties compute those
// of c, as integers that all of them agree on to the last bit, and everything else is local.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "correlation/comparison_layout.h"

namespace cryptensor::correlation {

constexpr int kMaxHarmonics = 32;
constexpr int kMaxOctaveEntries = 64;
constexpr int kWaveBits = 30;  // fraction bits of cosines, sines and mantissas

// cos and sin of n * 2 pi r / 2^period_bits for n = 1..count, or the first `count` odd n.
struct Harmonics {
  uint8_t period_bits = 64;
  uint8_t count = 1;
  bool odd = false;
  bool operator==(const Harmonics&) const = default;
  int fields() const { return 2 * count; }
};

// Powers of two: r = (index, low), where `low` has low_bits bits, fraction_bits of them behind the
// point. Entry m of 2^index_bits is 2^(scale - low / 2^fraction_bits) where m is the index, else 0.
struct Octaves {
  uint8_t fraction_bits = 0;
  uint8_t low_bits = 0;  // above fraction_bits
  uint8_t index_bits = 0;
  uint8_t scale = 0;
  bool operator==(const Octaves&) const = default;
  int fields() const { return 1 << index_bits; }
  int step() const { return 1 << (low_bits - fraction_bits); }  // octaves of one index
};

// A field of eight-byte values is one line of the corrections after the other, element by element.
struct CharactersLayout {
  explicit CharactersLayout(size_t elements)
      : n(elements), words((elements + 63) / 64), padded(64 * words) {}
  size_t n, words, padded;
  size_t blocks() const { return (words + kWordsPerBlock - 1) / kWordsPerBlock; }
  size_t field_bytes() const { return 8 * padded; }
  size_t count_in_block(size_t block) const {
    const size_t left = padded - kBlock * block;
    return left < kBlock ? left : kBlock;
  }
};

enum class CharacterStream : uint64_t { mask, values };

// constant + sum_n cosines[n] cos(n x) + sines[n] sin(n x); coefficients are integers at the scale
// that, with kWaveBits more, is that of the result.
struct HarmonicForm {
  int64_t constant;  // at the scale of the result
  std::vector<int64_t> cosines, sines;
  uint64_t* out;  // layout.n elements
};

// 2^x where x has the integer part j * step() + ...: entries from index `lowest` on. Results from
// index `split` on go to `high` at 2^high_bits, those below to `low` at 2^low_bits.
struct OctaveForm {
  int lowest;
  int split;
  int low_bits, high_bits;
  uint64_t *low, *high;
};

}  // namespace cryptensor::correlation
