// SPDX-License-Identifier: MIT
// What each protocol declares that it costs one party: tests hold the engine to these exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "correlation/descriptor.h"
#include "protocol/engine.h"

namespace cryptensor::protocol {

struct Cost {
  uint64_t rounds = 0;
  uint64_t bytes_sent = 0;    // payload of this party, online
  uint64_t dealer_bytes = 0;  // corrections for the last party
  bool operator==(const Cost&) const = default;
  Cost& operator+=(const Cost& more) {
    rounds += more.rounds;
    bytes_sent += more.bytes_sent;
    dealer_bytes += more.dealer_bytes;
    return *this;
  }
};

// Whose cost it is: that of a party of an engine.
struct Payer {
  Payer(int parties) : parties(parties) {}  // of the additive engine, where all pay the same
  explicit Payer(const Engine& engine);

  int parties;
  bool replicated = false;
  int rank = 0;

  // The replicated engine runs all but products between two parties, and the third pays nothing.
  int sharers() const { return replicated ? 2 : parties; }
  Cost part_of(const Cost& of_sharers) const { return rank < sharers() ? of_sharers : Cost(); }
};

namespace cost {

// n elements, `parties` parties.

// ReLU of a product with `shift` pending bits, ReLU without (shift 0): 4 rounds; 12.25 bytes an
// element to each other party for large n; corrections 72 and 60 bytes and a bit.
Cost relu(size_t n, int parties, int shift);
// [x >= 0]: 4 rounds, 12.25 bytes; corrections 52 bytes and a bit.
Cost at_least_zero(size_t n, int parties);
// local: nothing. one_bit: 1 round, 1 bit, corrections 2. interactive: 1 round, 8 bytes,
// corrections
// 10. exact: 3 rounds, about 9 bytes, corrections 32 (f <= 16; wider ones are two truncations).
Cost truncate(Truncation kind, size_t n, int parties, int bits);
// Both operands shared and not opened before: 1 round, both masked; corrections 8 for each result.
Cost product(size_t left, size_t right, size_t out, int parties);
// The owner's operand opened before: 1 round, one way, the other operand.
struct OneWay {
  Cost owner, others;
};
OneWay owned_product(size_t known, bool known_is_open, size_t sent, size_t out, int parties);
Cost square(size_t n, int parties);
// Of a shared value to all: 1 round, 8 bytes to each other party. Where one party learns it, each
// of the others sends 8 bytes to that one.
Cost reveal(size_t n, int parties);

// A piecewise polynomial: 4 rounds. Thresholds in units of the last place, of which those that
// agree in a word, once a public base is subtracted, share it. For n elements and k thresholds of w
// different words: bytes 8 + (k (6 + 1) + 7 w - 1) / 8, and for each threshold 8 (degree + 1) bytes
// of corrections.
Cost piecewise(size_t n, int parties, const std::vector<int64_t>& thresholds, int degree);
// A trigonometric series: 1 round, 8 bytes; corrections 16 for each harmonic.
Cost series(size_t n, int parties, int harmonics);
// 2^x: 1 round, 8 bytes; corrections 8 for each entry.
Cost power_of_two(size_t n, int parties, int entries);
// [x = 0]: 3 rounds, 8 bytes and 19 bits; corrections 96 bytes and 109 bits.
Cost is_zero(size_t n, int parties);
// n indices into `size` entries: 1 round, 8 bytes; corrections 8 for each entry of the next power
// of two, which is 8 at least. Two parties expand many entries from keys instead: corrections 16
// bytes and the words of a key, which the last party passes on.
struct ByParty {
  Cost last, others;
};
ByParty one_hot(size_t n, int parties, size_t size);
// [index = t] and the element where that holds: 1 round, 16 bytes; corrections 256.
Cost choose(size_t n, int parties);
// Six comparisons for each group of four: 4 rounds, 73.5 bytes.
Cost tournament(size_t groups, int parties);

}  // namespace cost
}  // namespace cryptensor::protocol
