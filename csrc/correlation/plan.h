// SPDX-License-Identifier: MIT
// What a program takes, known before it runs: a start, and a step that it repeats.
//
// The masks of weights are taken in the start and used by every step. So the unit that is dealt and
// used is a lot: one start and a number of steps, under keys of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "correlation/descriptor.h"
#include "crypto/digest.h"

namespace cryptensor::correlation {

// What a program took, in order; noted at the last party alone, since all take the same.
struct Recording {
  std::vector<Descriptor> taken;
  // The serials at which the steps begin and end.
  std::vector<std::pair<uint64_t, uint64_t>> steps;
};

// Settings of the session that decide what its program takes.
struct PlanSettings {
  uint8_t parties = 2;
  uint8_t precision = 16;
  uint8_t truncation = kDefault;  // else the number of a kind
  bool checked = false;
  static constexpr uint8_t kDefault = 255;
  bool operator==(const PlanSettings&) const = default;
};

class Plan {
 public:
  // From a traced program. With steps the first one belongs to the start, since it is the first
  // that opens the weights; the second is the one that is repeated, and every later one must be
  // like it. StoreError for a program that takes nothing, that has one or two steps, unequal ones,
  // or that takes something between or behind them.
  static Plan of(PlanSettings settings, const Recording& recording);

  // From the serialized correlations of the start and a step. StoreError for what no plan has.
  static Plan of(PlanSettings settings, uint64_t before, uint64_t start,
                 const std::vector<std::vector<uint8_t>>& entries);
  static Plan parse(std::span<const uint8_t> bytes);
  std::vector<uint8_t> serialize() const;
  // Of the serialized form: what two parties compare.
  const crypto::Digest& digest() const { return digest_; }

  const PlanSettings& settings() const { return settings_; }
  bool has_steps() const { return step_size() > 0; }
  uint64_t before_size() const { return before_; }  // taken before the first step
  uint64_t start_size() const { return start_; }    // and with the first step
  uint64_t step_size() const { return entries_.size() - start_; }
  uint64_t lot_size(uint64_t steps) const { return start_ + steps * step_size(); }

  // The correlation that is taken at a serial, which counts from the start of a lot.
  Descriptor at(uint64_t serial) const;
  bool is_at(uint64_t serial, const Descriptor& descriptor, uint64_t digest) const;

  // Where the corrections of a serial are in those of a lot, each from a multiple of kAlignment on.
  uint64_t offset(uint64_t serial) const;
  uint64_t lot_bytes(uint64_t steps) const { return offset(lot_size(steps)); }
  static constexpr uint64_t kAlignment = 64;

  // The start and one step.
  const std::vector<Descriptor>& entries() const { return entries_; }

  static constexpr uint64_t kMaxEntries = uint64_t{1} << 24;

 private:
  Plan(PlanSettings settings, uint64_t before, uint64_t start, std::vector<Descriptor> entries);
  void check_masks() const;

  PlanSettings settings_;
  uint64_t before_, start_;
  std::vector<Descriptor> entries_;
  std::vector<uint64_t> digests_;
  std::vector<uint64_t> offsets_;  // of each entry and of the end
  crypto::Digest digest_{};
};

// "a matmul of [1, 784] and [784, 128]", "relu of 128 elements".
std::string describe(const Descriptor& descriptor);

// Products of the dealer's own: what a GEMM or a convolution of that shape multiplies.
uint64_t multiplications(const Descriptor& descriptor);

}  // namespace cryptensor::correlation
