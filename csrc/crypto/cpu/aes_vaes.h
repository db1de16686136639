// SPDX-License-Identifier: MIT
// AES-128 counter mode with VAES on 512-bit registers. Call only where supported(Isa::avx512).
#pragma once

#include <cstddef>
#include <cstdint>

namespace cryptensor::crypto {

#if defined(__x86_64__)
inline constexpr bool kHasVaesCode = true;
#else
inline constexpr bool kHasVaesCode = false;  // aes_vaes.cpp is not part of the build
#endif

// `schedule` holds 11 round keys of 16 bytes, aligned to 16. Reads the key from the first and
// writes the others.
void expand_key_vaes(uint8_t* schedule);

// Writes the first n bytes of the blocks AES(high || low), AES(high || low + 1), ..., both numbers
// as 8 big-endian bytes. `low` must not wrap: there is no carry into `high`.
void aes_ctr_vaes(const uint8_t* schedule, uint64_t high, uint64_t low, uint8_t* destination,
                  size_t n);

}  // namespace cryptensor::crypto
