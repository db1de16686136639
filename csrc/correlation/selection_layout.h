// SPDX-License-Identifier: MIT
// Choices among a few: a public index into the dealer's one-hot of what masks it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "correlation/comparison_layout.h"
#include "correlation/point_function.h"

namespace cryptensor::correlation {

// The first maximum of four, for `groups` groups. All six differences are compared in one run; each
// candidate but the last wins where three of those bits are 1, that is, where the dealer's three
// bits are the complement of what is opened. Entry k of its fields is 1 where they are k, and the
// mask of its difference with the last candidate where they are k.
struct TournamentLayout {
  explicit TournamentLayout(size_t groups_in)
      : groups(groups_in),
        padded(64 * ((groups_in + 63) / 64)),
        comparison(kPairs * padded, Comparison::sign, 0),
        values(comparison.correction_bytes),
        correction_bytes(values + 8 * padded * kValues) {}

  static constexpr int kPairs = 6;
  static constexpr int kFirst[kPairs] = {0, 0, 0, 1, 1, 2};
  static constexpr int kSecond[kPairs] = {1, 2, 3, 2, 3, 3};
  // The pairs that decide about candidate i, and whether it must lose instead of win in them.
  static constexpr int kDecides[3][3] = {{0, 1, 2}, {0, 3, 4}, {1, 3, 5}};
  static constexpr bool kLoses[3][3] = {
      {false, false, false}, {true, false, false}, {true, true, false}};
  static constexpr int kLastPair[3] = {2, 4, 5};  // with the last candidate
  static constexpr int kEntries = 8;
  static constexpr int kValues = 3 * kEntries * 2;
  static constexpr int field(int candidate, int entry, bool masked) {
    return (candidate * kEntries + entry) * 2 + (masked ? 1 : 0);
  }
  static constexpr uint64_t kStream = 64;  // of field 0; the comparison's come before

  size_t groups, padded;
  ComparisonLayout comparison;
  size_t values, correction_bytes;
};

// A choice by a small index: with c = index + r and X = x + s opened, [index = t] is entry c - t of
// the one-hot of r mod kEntries, and x where that holds is X times it less the same entry of s
// times the one-hot. The table of an element holds entries and masked entries in turn.
struct ChoiceLayout {
  explicit ChoiceLayout(size_t elements) : n(elements) {}
  static constexpr size_t kEntries = 16, kTable = 2 * kEntries;
  static constexpr uint64_t kIndexStream = 0, kValueStream = 1, kTableStream = 2;
  static constexpr size_t kLines = 8 * kTable / 64;  // of a table in the stream
  static constexpr size_t kBlock = 1024;             // elements whose tables stay in the cache
  size_t n;
  size_t correction_bytes() const { return 8 * n * kTable; }
};

// The one-hot of a secret index: entry m of the dealt vector is [r mod span = m], and with c =
// index + r opened, entry k of the result is entry c - k of it.
struct OneHotLayout {
  OneHotLayout(size_t indices, size_t size_in)
      : n(indices), size(size_in), span(std::bit_ceil(size_in < 8 ? size_t{8} : size_in)) {}
  size_t n, size, span;
  size_t correction_bytes() const { return 8 * n * span; }
  static constexpr uint64_t kMaskStream = 0, kValueStream = 1;

  // From here on, two parties take keys of a point function instead: 46 times fewer bytes for 1024
  // entries, for the time of hashing them.
  static constexpr size_t kCompactSpan = 1024;
};

// The same from a key for each index: the second party's seeds, then the words that both get. The
// second party passes those on with its masked indices.
struct PointLayout {
  PointLayout(size_t indices, int bits_in)
      : n(indices), bits(bits_in), words(PointFunction::public_words(bits_in)) {}
  size_t n;
  int bits;
  size_t words;  // of one key
  size_t seed_bytes() const { return 16 * n; }
  size_t correction_bytes() const { return seed_bytes() + 8 * n * words; }
  static constexpr uint64_t kMaskStream = 0, kSeedStream = 1;
};

}  // namespace cryptensor::correlation
