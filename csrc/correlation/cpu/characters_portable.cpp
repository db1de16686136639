// SPDX-License-Identifier: MIT
// Harmonics and octaves for any processor.
#include <algorithm>

#include "core/cpu.h"
#include "correlation/cpu/characters_kernels.h"
#include "correlation/cpu/waves.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

CT_INLINE Plane gather(const uint64_t* table, const Plane& index) {
  Plane out;
  for (int i = 0; i < 8; ++i) out[i] = table[index[i]];
  return out;
}

// Uses the planes above.
#include "correlation/cpu/characters_kernels.inl"

}  // namespace

const CharactersKernels& characters_kernels_portable() { return kKernels; }

const CharactersKernels& characters_kernels() {
#ifdef __x86_64__
  if (isa() == Isa::avx512) return characters_kernels_avx512();
#endif
  return characters_kernels_portable();
}

}  // namespace cryptensor::correlation
