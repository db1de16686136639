// SPDX-License-Identifier: MIT
// Comparison kernels for any processor.
#include "correlation/cpu/comparison_kernels.h"

#include "core/cpu.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

typedef uint16_t Lanes __attribute__((vector_size(64)));

CT_INLINE void split_words(const uint64_t* elements, Lanes* words) {
  for (int i = 0; i < 32; ++i) {
    for (int j = 0; j < 4; ++j) words[j][i] = static_cast<uint16_t>(elements[i] >> (16 * j));
  }
}

CT_INLINE uint32_t top_bits(const Lanes& lanes) {
  uint32_t mask = 0;
  for (int i = 0; i < 32; ++i) mask |= static_cast<uint32_t>(lanes[i] >> 15) << i;
  return mask;
}

CT_INLINE uint32_t nonzero(const Lanes& lanes) {
  uint32_t mask = 0;
  for (int i = 0; i < 32; ++i) mask |= static_cast<uint32_t>(lanes[i] != 0) << i;
  return mask;
}

#include "correlation/cpu/comparison_kernels.inl"
// Uses the passes above.
#include "correlation/cpu/comparison_deal.inl"

}  // namespace

const ComparisonKernels& comparison_kernels_portable() { return kKernels; }

const ComparisonKernels& comparison_kernels() {
#ifdef __x86_64__
  if (isa() == Isa::avx512) return comparison_kernels_avx512();
#endif
  return comparison_kernels_portable();
}

}  // namespace cryptensor::correlation
