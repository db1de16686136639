// SPDX-License-Identifier: MIT
// Passes over arrays of ring elements. Element i of Z_2^64 is a uint64_t; all sums wrap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cryptensor::ring {

void add_to(uint64_t* sum, const uint64_t* term, size_t n);
void subtract_from(uint64_t* difference, const uint64_t* term, size_t n);
void xor_to(uint64_t* sum, const uint64_t* term, size_t n);
void sum_of(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n);
void product_of(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n);

// Packs the top bit of each of n elements into ceil(n / 64) words, element 0 lowest; the rest is 0.
void pack_top_bits(uint64_t* words, const uint64_t* elements, size_t n);
inline uint64_t bit_at(const uint64_t* words, size_t i) { return words[i / 64] >> (i % 64) & 1; }
constexpr size_t words_for_bits(size_t n) { return (n + 63) / 64; }

}  // namespace cryptensor::ring
