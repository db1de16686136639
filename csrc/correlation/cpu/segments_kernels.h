// SPDX-License-Identifier: MIT
// The passes of a comparison with many thresholds, one table of functions per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "correlation/segments_layout.h"
#include "crypto/prg.h"

namespace cryptensor::correlation {

// One party's view of one run.
struct SegmentsShare {
  const SegmentsLayout* layout;
  const crypto::Prg* prg;
  const uint8_t* corrections;  // null: the corrected fields are expanded from the PRG as well
  Part part;                   // the blocks that `corrections` has; the others are expanded
  bool adds_constants;         // exactly one party does
  bool corrects(size_t block) const { return corrections != nullptr && part.has(block); }
};

// Scratch between the rounds, in bit planes of layout.words words unless said otherwise.
struct SegmentsState {
  uint64_t* opened;   // layout.padded elements
  uint64_t* hidden;   // one for each node, later one for each threshold
  uint64_t* borrows;  // three for each threshold: out of the words below group 1, 2, 3
  uint64_t* top_bit;  // one for each threshold: bit 63 of c - t
};

// A piecewise polynomial: sum_i base[i] x^i + sum_j [x >= t_j] sum_i steps[j * (degree + 1) + i]
// x^i, in the ring.
struct SegmentsForm {
  std::vector<uint64_t> base, steps;
  uint64_t* out;  // layout.n elements
};

struct SegmentsKernels {
  void (*mask)(const SegmentsShare&, const uint64_t* x, uint64_t* out);
  void (*pick)(const SegmentsShare&, const SegmentsState&, const uint64_t* own,
               const uint64_t* others, uint64_t* level1_out);
  void (*combine)(const SegmentsShare&, const SegmentsState&, const uint64_t* own,
                  const uint64_t* others, uint64_t* level2_out);
  void (*finish)(const SegmentsShare&, const SegmentsState&, const uint64_t* own,
                 const uint64_t* others, uint64_t* bits_out);
  // `x`: this party's share.
  void (*evaluate)(const SegmentsShare&, const SegmentsState&, const uint64_t* own,
                   const uint64_t* others, const uint64_t* x,
                   const std::vector<SegmentsForm>& forms);
  void (*deal)(const SegmentsLayout& layout, const crypto::Prg* const* prgs, int parties, Part part,
               const crypto::Prg& secret, uint8_t* corrections);
};

const SegmentsKernels& segments_kernels();  // for isa()
const SegmentsKernels& segments_kernels_portable();
const SegmentsKernels& segments_kernels_avx512();

}  // namespace cryptensor::correlation
