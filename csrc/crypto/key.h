// SPDX-License-Identifier: MIT
// Keys: where they come from and how further ones are derived.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace cryptensor::crypto {

// A 128-bit AES key. Every copy is wiped when it goes out of scope.
struct Key {
  std::array<uint8_t, 16> bytes{};
  ~Key();
};

// Cryptographically strong randomness, seeded by the operating system and safe across fork().
// Throws EntropyError if there is none; never falls back to anything weaker.
Key random_key();
void random_bytes(void* destination, size_t n);

// For tests that compare transcripts: from now on random_bytes() of this thread is a function of
// the seed, and of the number of calls; without a seed, as before. The code for it exists in the
// target `mutants` alone: every other build throws ConfigError and can only draw true randomness.
void seed_thread(const std::optional<std::array<uint8_t, 16>>& seed);

// A key for one purpose: HKDF-SHA256 of `parent` with info = label || a || b, both numbers as 8
// little-endian bytes. Keys of different (label, a, b) are independent of each other, and none of
// them tells anything about `parent`.
Key derive(const Key& parent, std::string_view label, uint64_t a = 0, uint64_t b = 0);

// HKDF with SHA-256 (RFC 5869), extract and expand. `ikm` must not be empty and `length` must be in
// [1, 8160], else RangeError.
std::vector<uint8_t> hkdf_sha256(std::span<const uint8_t> ikm, std::span<const uint8_t> salt,
                                 std::span<const uint8_t> info, size_t length);

}  // namespace cryptensor::crypto
