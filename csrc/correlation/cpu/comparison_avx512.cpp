// SPDX-License-Identifier: MIT
// Comparison kernels for AVX-512 F, BW, DQ, VL.
#include <immintrin.h>

#include "correlation/cpu/comparison_kernels.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

#include "correlation/cpu/lanes_avx512.inl"
// Uses the lanes above.
#include "correlation/cpu/comparison_steps.inl"
// Uses the steps above.
#include "correlation/cpu/comparison_kernels.inl"
// Uses the passes above.
#include "correlation/cpu/comparison_deal.inl"

}  // namespace

const ComparisonKernels& comparison_kernels_avx512() { return kKernels; }

}  // namespace cryptensor::correlation
