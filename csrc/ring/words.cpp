// SPDX-License-Identifier: MIT
#include "ring/words.h"

#include "core/cpu.h"
#include "ring/cpu/words_kernels.h"

namespace cryptensor::ring {

namespace {

const WordKernels& kernels() {
#ifdef __x86_64__
  if (isa() == Isa::avx512) return word_kernels_avx512();
#endif
  return word_kernels_portable();
}

}  // namespace

void add_to(uint64_t* sum, const uint64_t* term, size_t n) { kernels().add_to(sum, term, n); }

void subtract_from(uint64_t* difference, const uint64_t* term, size_t n) {
  kernels().subtract_from(difference, term, n);
}

void xor_to(uint64_t* sum, const uint64_t* term, size_t n) { kernels().xor_to(sum, term, n); }

void sum_of(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n) {
  kernels().sum_of(out, a, b, n);
}

void product_of(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n) {
  kernels().product_of(out, a, b, n);
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
