// SPDX-License-Identifier: MIT
// Harmonics and octaves for any processor.
#include <algorithm>

#include "core/cpu.h"
#include "correlation/cpu/characters_kernels.h"
#include "correlation/cpu/waves.h"

namespace cryptensor::correlation {
namespace {

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
