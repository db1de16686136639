// SPDX-License-Identifier: MIT
// The passes of ring/words.h that vectors make faster, one table of functions per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cryptensor::ring {

struct WordKernels {
  void (*add_to)(uint64_t* sum, const uint64_t* term, size_t n);
  void (*subtract_from)(uint64_t* difference, const uint64_t* term, size_t n);
  void (*xor_to)(uint64_t* sum, const uint64_t* term, size_t n);
  void (*sum_of)(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n);
  void (*product_of)(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n);
};

const WordKernels& word_kernels_portable();
const WordKernels& word_kernels_avx512();

}  // namespace cryptensor::ring
