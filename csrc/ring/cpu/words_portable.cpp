// SPDX-License-Identifier: MIT
#include "ring/cpu/words_kernels.h"

namespace cryptensor::ring {
namespace {

#include "ring/cpu/words_kernels.inl"

}  // namespace

const WordKernels& word_kernels_portable() { return kKernels; }

}  // namespace cryptensor::ring
