// SPDX-License-Identifier: MIT
// Comparison kernels for any processor.
#include "correlation/cpu/comparison_kernels.h"

#include "core/cpu.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

#include "correlation/cpu/lanes_portable.inl"
// Uses the lanes above.
#include "correlation/cpu/comparison_steps.inl"
// Uses the steps above.
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
