// SPDX-License-Identifier: MIT
#include "ring/cpu/words_kernels.h"

namespace cryptensor::ring {
namespace {

#include "ring/cpu/words_kernels.inl"

}  // namespace

const WordKernels& word_kernels_avx512() { return kKernels; }

}  // namespace cryptensor::ring
