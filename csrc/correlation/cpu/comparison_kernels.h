// SPDX-License-Identifier: MIT
// The passes of a comparison over arrays, one table of functions per instruction set.
// A kernel knows no party: it is told whether to expand or read the corrected fields and whether
// to add the public constants.
#pragma once

#include <cstddef>
#include <cstdint>

#include "correlation/comparison_layout.h"
#include "crypto/prg.h"

namespace cryptensor::correlation {

// One party's view of one comparison.
struct ComparisonShare {
  const ComparisonLayout* layout;
  const crypto::Prg* prg;
  const uint8_t* corrections;  // null: the corrected fields are expanded from the PRG as well
  Part part;                   // the blocks that `corrections` has; the others are expanded
  bool adds_constants;         // exactly one party does
  bool corrects(size_t block) const { return corrections != nullptr && part.has(block); }
};

// Scratch between the rounds: the opened elements (padded) and the hidden bits of the tree.
struct ComparisonState {
  uint64_t* opened;   // layout.padded elements
  uint64_t* hidden;   // layout.words * (chunks / 4)
  uint64_t* top_bit;  // layout.words: bit 63 of the opened elements
};

struct ComparisonKernels {
  // out = x + r share. x: layout.n elements.
  void (*mask)(const ComparisonShare&, const uint64_t* x, uint64_t* out);
  // Adds own and the others' masked elements, reads the tables, masks the inputs of level one.
  void (*pick)(const ComparisonShare&, const ComparisonState&, const uint64_t* own,
               const uint64_t* others, uint64_t* level1_out);
  // Evaluates level one; masks the inputs of level two (or the result bit where there is one
  // level).
  void (*combine)(const ComparisonShare&, const ComparisonState&, const uint64_t* own,
                  const uint64_t* others, uint64_t* out);
  // Evaluates level two and masks the result bit.
  void (*finish)(const ComparisonShare&, const ComparisonState&, const uint64_t* own,
                 const uint64_t* others, uint64_t* bit_out);
  // Shares of the result from the opened masked bit; `bits`, when not null, receives [x >= 0].
  void (*select)(const ComparisonShare&, const ComparisonState&, const uint64_t* own,
                 const uint64_t* others, uint64_t* result, uint64_t* bits);
  // The dealer: corrections for the last of `parties` parties; `secret` is the dealer's own stream.
  void (*deal)(const ComparisonLayout&, const crypto::Prg* const* prgs, int parties, Part part,
               const crypto::Prg& secret, uint8_t* corrections);
};

const ComparisonKernels& comparison_kernels();  // for isa()
const ComparisonKernels& comparison_kernels_portable();
const ComparisonKernels& comparison_kernels_avx512();

}  // namespace cryptensor::correlation
