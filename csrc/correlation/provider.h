// SPDX-License-Identifier: MIT
// Where a party takes its correlated randomness from.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "correlation/descriptor.h"
#include "crypto/prg.h"

namespace cryptensor::correlation {

// One party's part of one correlation. Used once.
struct Correlation {
  uint64_t serial;
  uint64_t digest;
  crypto::Prg prg;
  // Only at a corrected party, else null: its shares of the corrected fields.
  std::shared_ptr<const uint8_t> corrections;
  Part part;  // the blocks that it corrects
};

// Every party of a session takes the same correlations in the same order. The last party is the
// corrected one: the only party that receives bytes; the others expand all they need. Where every
// party deals for itself, each corrects a part of what comes in blocks.
class Provider {
 public:
  Provider(const crypto::Key& key_with_dealer, int rank, int parties)
      : key_(key_with_dealer), rank_(rank), parties_(parties) {}
  virtual ~Provider() = default;

  Correlation take(const Descriptor& descriptor);
  MaskName take_mask(uint64_t numel, uint32_t holders, bool long_lived);

  // True while the key of a mask that was taken before is in use.
  bool is_current(const MaskName& mask) const { return mask.epoch == epoch_; }
  // This party's stream of such a mask.
  crypto::Prg mask_prg(const MaskName& mask) const;

  // Bytes of corrections received so far (in a first-party simulation: made).
  uint64_t dealer_bytes() const { return dealer_bytes_; }
  bool corrected() const { return rank_ == parties_ - 1; }
  int rank() const { return rank_; }
  int parties() const { return parties_; }

  // A step that the program repeats begins or ends.
  virtual void mark_step(bool /*begins*/) {}
  // Tells the dealer that nothing more will be asked for.
  virtual void finish() {}

 protected:
  uint64_t next_serial() const { return next_serial_; }
  // Leaves out what is before `serial`, for ever.
  void skip_to(uint64_t serial) { next_serial_ = std::max(next_serial_, serial); }
  // Goes on with another key, from serial 0: masks that were taken before are no longer current.
  void begin_epoch(const crypto::Key& key);

  // Called at every party before anything is taken.
  virtual void expect(const Descriptor&, uint64_t /*digest*/) {}
  // Called at a corrected party for descriptors that have corrections.
  virtual std::shared_ptr<const uint8_t> corrections(uint64_t serial, uint64_t digest,
                                                     const Descriptor& descriptor, Part part,
                                                     size_t bytes) = 0;
  // The blocks that this party corrects; none: it corrects nothing.
  virtual std::optional<Part> corrected_part(const Descriptor&) const {
    return corrected() ? std::optional(Part{}) : std::nullopt;
  }
  // Called for every correlation taken at the corrected party, before corrections().
  virtual void taken(uint64_t, const Descriptor&) {}

 private:
  crypto::Prg key_;
  int rank_;
  int parties_;
  uint64_t next_serial_ = 0;
  uint32_t epoch_ = 0;
  uint64_t dealer_bytes_ = 0;
};

}  // namespace cryptensor::correlation
