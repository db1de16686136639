// SPDX-License-Identifier: MIT
// Many-threshold kernels for any processor.
#include "correlation/cpu/segments_kernels.h"

#include <algorithm>

#include "core/cpu.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

#include "correlation/cpu/lanes_portable.inl"
// Uses the lanes above.
#include "correlation/cpu/comparison_steps.inl"
// Uses the steps above.
#include "correlation/cpu/segments_kernels.inl"
// Uses the passes above.
#include "correlation/cpu/segments_deal.inl"

}  // namespace

const SegmentsKernels& segments_kernels_portable() { return kKernels; }

const SegmentsKernels& segments_kernels() {
#ifdef __x86_64__
  if (isa() == Isa::avx512) return segments_kernels_avx512();
#endif
  return segments_kernels_portable();
}

}  // namespace cryptensor::correlation
