// SPDX-License-Identifier: MIT
#include "correlation/forecast.h"

#include <utility>

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

// What a container's node adds to its element.
constexpr size_t kNode = 4 * sizeof(void*);

size_t memory_of(const Descriptor& d) {
  const auto& convolution = d.map.convolution;
  size_t words = d.thresholds.capacity() + convolution.stride.capacity() +
                 convolution.padding.capacity() + convolution.dilation.capacity();
  for (const MaskView* view : {&d.left, &d.right}) {
    words += view->sizes.capacity() + view->strides.capacity();
  }
  return sizeof d + 8 * words;
}

}  // namespace

void Forecast::record(uint64_t serial, const Descriptor& descriptor) {
  Descriptor made = relative_to(serial, descriptor);
  if (entries_.empty()) first_ = next_ = serial;
  const uint64_t at = next_++;
  const auto [place, fresh] = known_.try_emplace(made.digest());
  Known& known = place->second;

  if (follows_ && *follows_ >= first_ && entry(*follows_).known == &*place) {
    ++*follows_;
  } else if (!fresh) {
    follows_ = known.last_seen + 1;
  } else {
    follows_.reset();
  }
  if (fresh) {
    known.corrections = made.correction_bytes();
    known.memory = memory_of(made) + sizeof known - sizeof made + kNode;
    known.descriptor = std::move(made);
    known_memory_ += known.memory;
  }
  known.last_seen = at;
  ++known.entries;
  entries_.push_back({&*place, bytes_});
  bytes_ += known.corrections;
  while (entries_.size() > kHistory || (known_memory_ > kHistoryBytes && entries_.size() > 1)) {
    forget_oldest();
  }
}

void Forecast::forget_oldest() {
  const auto oldest = known_.find(entries_.front().known->first);
  if (--oldest->second.entries == 0) {
    known_memory_ -= oldest->second.memory;
    known_.erase(oldest);
  }
  entries_.pop_front();
  ++first_;
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
  return relative_to(serial, like.known->second.descriptor);
}

}  // namespace cryptensor::correlation
