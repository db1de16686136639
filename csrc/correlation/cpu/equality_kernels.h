// SPDX-License-Identifier: MIT
// The passes of an equality test, one table of functions per instruction set.
#pragma once

#include <cstdint>

#include "correlation/equality_layout.h"
#include "crypto/prg.h"

namespace cryptensor::correlation {

struct EqualityShare {
  const EqualityLayout* layout;
  const crypto::Prg* prg;
  const uint8_t* corrections;  // null: the corrected fields are expanded from the PRG as well
  Part part;                   // the blocks that `corrections` has; the others are expanded
  bool adds_constants;         // exactly one party does
  bool corrects(size_t block) const { return corrections != nullptr && part.has(block); }
};

struct EqualityKernels {
  void (*mask)(const EqualityShare&, const uint64_t* x, uint64_t* out);
  void (*pick)(const EqualityShare&, const uint64_t* own, const uint64_t* others,
               uint64_t* level1_out);
  void (*combine)(const EqualityShare&, const uint64_t* own, const uint64_t* others,
                  uint64_t* level2_out);
  // result: layout.n shares of [x = 0].
  void (*finish)(const EqualityShare&, const uint64_t* own, const uint64_t* others,
                 uint64_t* result);
  void (*deal)(const EqualityLayout&, const crypto::Prg* const* prgs, int parties, Part part,
               uint8_t* corrections);
};

const EqualityKernels& equality_kernels();  // for isa()
const EqualityKernels& equality_kernels_portable();
const EqualityKernels& equality_kernels_avx512();

}  // namespace cryptensor::correlation
