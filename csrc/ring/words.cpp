// SPDX-License-Identifier: MIT
#include "ring/words.h"

namespace cryptensor::ring {

void add_to(uint64_t* sum, const uint64_t* term, size_t n) {
  for (size_t i = 0; i < n; ++i) sum[i] += term[i];
}

void subtract_from(uint64_t* difference, const uint64_t* term, size_t n) {
  for (size_t i = 0; i < n; ++i) difference[i] -= term[i];
}

void xor_to(uint64_t* sum, const uint64_t* term, size_t n) {
  for (size_t i = 0; i < n; ++i) sum[i] ^= term[i];
}

void sum_of(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void pack_top_bits(uint64_t* words, const uint64_t* elements, size_t n) {
  for (size_t w = 0; w < words_for_bits(n); ++w) {
    const size_t first = 64 * w;
    const size_t count = n - first < 64 ? n - first : 64;
    uint64_t packed = 0;
    for (size_t i = 0; i < count; ++i) packed |= (elements[first + i] >> 63) << i;
    words[w] = packed;
  }
}

}  // namespace cryptensor::ring
