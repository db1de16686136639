// SPDX-License-Identifier: MIT
// Passes over the functions of characters.h, one table of functions per instruction set.
#pragma once

#include <vector>

#include "correlation/characters.h"
#include "crypto/prg.h"

namespace cryptensor::correlation {

struct CharactersShare {
  const CharactersLayout* layout;
  const crypto::Prg* prg;
  const uint8_t* corrections;  // null: the fields are expanded from the PRG
  Part part;                   // the blocks that `corrections` has; the others are expanded
  bool adds_constants;         // exactly one party does
  bool corrects(size_t block) const { return corrections != nullptr && part.has(block); }
};

struct CharactersKernels {
  // `opened`: layout.padded elements.
  void (*harmonics)(const CharactersShare&, const Harmonics&, const uint64_t* opened,
                    const std::vector<HarmonicForm>& forms);
  void (*octaves)(const CharactersShare&, const Octaves&, const uint64_t* opened,
                  const OctaveForm& form);
  void (*deal_harmonics)(const CharactersLayout&, const Harmonics&, const crypto::Prg* const* prgs,
                         int parties, Part part, uint8_t* corrections);
  void (*deal_octaves)(const CharactersLayout&, const Octaves&, const crypto::Prg* const* prgs,
                       int parties, Part part, uint8_t* corrections);
};

const CharactersKernels& characters_kernels();  // for isa()
const CharactersKernels& characters_kernels_portable();
const CharactersKernels& characters_kernels_avx512();

}  // namespace cryptensor::correlation
