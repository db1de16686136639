// SPDX-License-Identifier: MIT
// Pseudorandom generator: AES-128 in counter mode (NIST SP 800-38A, section 6.5).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/cpu.h"
#include "crypto/key.h"

namespace cryptensor::crypto {

// 2^63 streams of 2^68 bytes under one key, each addressable anywhere. Block i of a stream is
// AES_k(stream || i), both as 8 big-endian bytes; a line is 4 blocks, 64 bytes.
//
// There is no position to advance: who draws twice from the same lines gets the same bytes, so the
// caller counts what it has used. Calls on one object may run on several threads at once.
class Prg {
 public:
  explicit Prg(const Key& key) : Prg(key, isa()) {}
  // For tests and benchmarks. Throws ConfigError if the processor lacks `choice`.
  Prg(const Key& key, Isa choice);
  ~Prg();
  Prg(const Prg&) = delete;
  Prg& operator=(const Prg&) = delete;
  Prg(Prg&&) = default;  // the key stays in the source too, until that is destroyed
  Prg& operator=(Prg&&) = default;

  // Writes bytes [64 * line, 64 * line + n) of `stream`: the same on every instruction set and
  // however a draw is cut at line borders. Throws RangeError for a stream >= 2^63 or a line beyond
  // the end of the stream, and Error in a process forked after this object was made: parent and
  // child would use the same bytes as masks.
  void fill(uint64_t stream, uint64_t line, void* destination, size_t n) const;

  // The key AES_k((2^63 | a) || b): no stream of fill contains it. Throws Error after a fork.
  Key subkey(uint64_t a, uint64_t b) const;

 private:
  void check_fork() const;
  void draw(uint64_t high, uint64_t low, void* destination, size_t n) const;

  static constexpr size_t kScheduleBytes = 11 * 16;

  Isa isa_;
  uint64_t fork_generation_;
  // Round keys. The first is the key itself, and all that the portable implementation sets.
  alignas(16) std::array<uint8_t, kScheduleBytes> schedule_;
};

}  // namespace cryptensor::crypto
