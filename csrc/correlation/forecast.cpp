// SPDX-License-Identifier: MIT
#include "correlation/forecast.h"

namespace cryptensor::correlation {
namespace {

// A mask of this pass of the program is so many serials back; a weight's mask keeps its serial.
// Turns absolute serials into distances from `serial`, and distances back into serials.
Descriptor relative_to(uint64_t serial, Descriptor d) {
  for (MaskView* view : {&d.left, &d.right}) {
    if (!view->mask.long_lived) view->mask.serial = serial - view->mask.serial;
  }
  return d;
}

}  // namespace

void Forecast::record(uint64_t serial, const Descriptor& descriptor) {
  Entry made{relative_to(serial, descriptor), 0, bytes_};
  made.key = made.descriptor.digest();
  bytes_ += descriptor.correction_bytes();
  if (entries_.empty()) first_ = next_ = serial;
  const uint64_t at = next_++;

  const auto seen = last_seen_.find(made.key);
  if (follows_ && *follows_ >= first_ && entry(*follows_).key == made.key) {
    ++*follows_;
  } else if (seen != last_seen_.end() && seen->second >= first_) {
    follows_ = seen->second + 1;
  } else {
    follows_.reset();
  }
  last_seen_[made.key] = at;
  entries_.push_back(std::move(made));
  if (entries_.size() > kHistory) {
    const auto oldest = last_seen_.find(entries_.front().key);
    if (oldest->second == first_) last_seen_.erase(oldest);
    entries_.pop_front();
    ++first_;
  }
}

size_t Forecast::period_bytes() const {
  if (!follows_ || *follows_ < first_ || *follows_ >= next_) return 0;
  return bytes_ - entry(*follows_).bytes_before;
}

std::optional<Descriptor> Forecast::expect(uint64_t serial) const {
  if (!follows_ || *follows_ < first_ || serial < next_) return std::nullopt;
  // Beyond what is recorded, the program is taken to repeat the stretch since `follows_`.
  const uint64_t period = next_ - *follows_;
  if (period == 0) return std::nullopt;
  const Entry& like = entry(*follows_ + (serial - next_) % period);
  return relative_to(serial, like.descriptor);
}

}  // namespace cryptensor::correlation
