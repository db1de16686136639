// SPDX-License-Identifier: MIT
// Many-threshold kernels for AVX-512 F, BW, DQ, VL.
#include <immintrin.h>

#include "correlation/cpu/segments_kernels.h"

#include <algorithm>

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

#include "correlation/cpu/lanes_avx512.inl"
// Uses the lanes above.
#include "correlation/cpu/comparison_steps.inl"
// Uses the steps above.
#include "correlation/cpu/segments_kernels.inl"
// Uses the passes above.
#include "correlation/cpu/segments_deal.inl"

}  // namespace

const SegmentsKernels& segments_kernels_avx512() { return kKernels; }

}  // namespace cryptensor::correlation
