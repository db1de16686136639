// SPDX-License-Identifier: MIT
// Harmonics and octaves for AVX-512 F, BW, DQ, VL.
#include <algorithm>

#include "correlation/cpu/characters_kernels.h"
#include "correlation/cpu/waves.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/characters_kernels.inl"

}  // namespace

const CharactersKernels& characters_kernels_avx512() { return kKernels; }

}  // namespace cryptensor::correlation
