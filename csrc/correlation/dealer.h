// SPDX-License-Identifier: MIT
// The dealer: knows the seed that each party expands, and computes what the last party must add.
#pragma once

#include <cstdint>
#include <vector>

#include "correlation/descriptor.h"
#include "crypto/key.h"
#include "crypto/prg.h"

namespace cryptensor::correlation {

// Streams of the kinds other than comparisons.
enum Stream : uint64_t { kMaskStream = 0, kProductStream = 1, kShiftedStream = 2, kWrapStream = 3 };

// The PRG of one correlation under one party's key.
crypto::Prg correlation_prg(const crypto::Prg& party, uint64_t serial, uint64_t digest);

class Dealer {
 public:
  // party_keys[i] is shared with party i and nobody else.
  explicit Dealer(const std::vector<crypto::Key>& party_keys);

  int parties() const { return static_cast<int>(party_prgs_.size()); }

  // Writes descriptor.correction_bytes() bytes for the last party. The same call gives the same
  // bytes: a correlation that is asked for twice is still one correlation.
  void deal(uint64_t serial, const Descriptor& descriptor, uint8_t* corrections) const {
    deal_part(serial, descriptor, parties() - 1, {}, corrections);
  }
  // Writes what `corrected` must add in a part of the blocks, where the descriptor has blocks.
  void deal_part(uint64_t serial, const Descriptor& descriptor, int corrected, Part part,
                 uint8_t* corrections) const;

 private:
  at::Tensor expand(const MaskView& view) const;
  std::vector<crypto::Prg> prgs(uint64_t serial, uint64_t digest) const;
  void deal_bilinear(const std::vector<crypto::Prg>&, const Descriptor&, uint8_t*) const;
  void deal_truncation(const std::vector<crypto::Prg>&, const Descriptor&, uint8_t*) const;
  void deal_wrap(const std::vector<crypto::Prg>&, const Descriptor&, uint8_t*) const;
  void deal_tournament(const std::vector<const crypto::Prg*>&, const crypto::Prg& secret,
                       const Descriptor&, uint8_t*) const;
  void deal_function(const std::vector<crypto::Prg>&, uint64_t serial, const Descriptor&, Part,
                     uint8_t*) const;

  std::vector<crypto::Prg> party_prgs_;
  crypto::Prg own_;  // for bits that no party may know
};

}  // namespace cryptensor::correlation
