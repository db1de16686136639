// SPDX-License-Identifier: MIT
// Harmonics and octaves for AVX-512 F, BW, DQ, VL.
#include <immintrin.h>

#include <algorithm>

#include "correlation/cpu/characters_kernels.h"
#include "correlation/cpu/waves.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

CT_INLINE Plane gather(const uint64_t* table, const Plane& index) {
  // The masked form with a full mask: GCC 12 warns of its own header in the plain one.
  const __m512i at = reinterpret_cast<const __m512i&>(index);
  return reinterpret_cast<Plane>(
      _mm512_mask_i64gather_epi64(_mm512_setzero_si512(), 0xff, at, table, 8));
}

// Uses the planes above.
#include "correlation/cpu/characters_kernels.inl"

}  // namespace

const CharactersKernels& characters_kernels_avx512() { return kKernels; }

}  // namespace cryptensor::correlation
