// SPDX-License-Identifier: MIT
// Equality kernels for AVX-512 F, BW, DQ, VL.
#include <immintrin.h>

#include <algorithm>
#include <vector>

#include "correlation/cpu/equality_kernels.h"

namespace cryptensor::correlation {
namespace {

#include "correlation/cpu/comparison_node.inl"

#include "correlation/cpu/lanes_avx512.inl"
// Uses the lanes above.
#include "correlation/cpu/comparison_steps.inl"
// Uses the steps above.
#include "correlation/cpu/equality_kernels.inl"

}  // namespace

const EqualityKernels& equality_kernels_avx512() { return kKernels; }

}  // namespace cryptensor::correlation
