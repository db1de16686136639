// SPDX-License-Identifier: MIT
// Equality kernels for any processor.
#include <algorithm>
#include <vector>

#include "core/cpu.h"
#include "correlation/cpu/equality_kernels.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

#include "correlation/cpu/lanes_portable.inl"
// Uses the lanes above.
#include "correlation/cpu/comparison_steps.inl"
// Uses the steps above.
#include "correlation/cpu/equality_kernels.inl"

}  // namespace

const EqualityKernels& equality_kernels_portable() { return kKernels; }

const EqualityKernels& equality_kernels() {
#ifdef __x86_64__
  if (isa() == Isa::avx512) return equality_kernels_avx512();
#endif
  return equality_kernels_portable();
}

}  // namespace cryptensor::correlation
