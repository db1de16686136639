// SPDX-License-Identifier: MIT
// Guesses which correlations a program takes next from those that it took before, so that the
// dealer can run ahead. A wrong guess costs its bytes and nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "correlation/descriptor.h"

namespace cryptensor::correlation {

class Forecast {
 public:
  // Correlations are recorded in order of their serial, without gaps.
  void record(uint64_t serial, const Descriptor& descriptor);

  // The correlation expected to have `serial`, which must not be recorded yet.
  std::optional<Descriptor> expect(uint64_t serial) const;

  // Corrections of the stretch that the program is taken to repeat; 0: nothing is expected.
  size_t period_bytes() const;

  // Bytes that the history takes; at most those of kHistory entries and kHistoryBytes.
  size_t memory() const { return known_memory_ + entries_.size() * sizeof(Entry); }

  static constexpr size_t kHistory = 1 << 16;
  static constexpr size_t kHistoryBytes = size_t{16} << 20;  // of descriptors that differ

 private:
  // What programs repeat is kept once, however often it is repeated.
  struct Known {
    Descriptor descriptor;   // names of short-lived masks relative to the entry's serial
    uint64_t last_seen = 0;  // serial of the latest entry
    uint64_t corrections = 0;
    size_t entries = 0;
    size_t memory = 0;
  };
  using KnownByKey = std::unordered_map<uint64_t, Known>;
  struct Entry {
    const KnownByKey::value_type* known;
    uint64_t bytes_before;  // corrections of all entries before it
  };
  const Entry& entry(uint64_t serial) const { return entries_[serial - first_]; }
  void forget_oldest();

  std::deque<Entry> entries_;
  KnownByKey known_;
  size_t known_memory_ = 0;
  uint64_t first_ = 0;  // serial of entries_[0]
  uint64_t next_ = 0;   // serial after the last entry
  uint64_t bytes_ = 0;  // corrections of all entries so far
  // The program seems to be where it was at this serial; none: nothing like it was seen.
  std::optional<uint64_t> follows_;
};

}  // namespace cryptensor::correlation
