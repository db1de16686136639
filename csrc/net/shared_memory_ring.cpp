// SPDX-License-Identifier: MIT
#include "net/shared_memory_ring.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

using Clock = std::chrono::steady_clock;

// With more processes than cores a longer spin takes the time that the other side needs.
constexpr auto kSpin = std::chrono::microseconds(20);
constexpr int kSpinsPerLook = 16;  // at the clock
// The other side may begin to read before all is written.
constexpr size_t kPiece = size_t{64} << 10;
constexpr uint32_t kReleaseAt = kRingBytes / 4;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The kernel takes the address of the plain word.
uint32_t* word(std::atomic<uint32_t>& value) { return reinterpret_cast<uint32_t*>(&value); }

void sleep_while(std::atomic<uint32_t>& value, uint32_t expected, std::chrono::nanoseconds limit) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timespec time{static_cast<time_t>(seconds.count()),
                      static_cast<long>((limit - seconds).count())};
  ::syscall(SYS_futex, word(value), FUTEX_WAIT, expected, &time, nullptr, 0);
}

void wake(std::atomic<uint32_t>& value) {
  ::syscall(SYS_futex, word(value), FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

uint32_t checked(uint32_t filled) {
  if (filled > kRingBytes) {
    throw ProtocolError("its ring of shared memory claims to hold " + std::to_string(filled) +
                        " bytes, at most are " + std::to_string(kRingBytes));
  }
  return filled;
}

}  // namespace

bool RingEnd::wait(uint32_t seen, Deadline deadline) {
  const auto moved = [&] { return other_.bytes.load(std::memory_order_acquire) != seen; };
  const Deadline end = std::min(deadline, Clock::now() + kSpin);
  do {
    for (int i = 0; i < kSpinsPerLook; ++i) {
      if (moved()) return true;
      relax();
    }
  } while (Clock::now() < end);
  // First the flag and then the look, where the other side first moves and then looks at the flag.
  other_.waited.store(1);
  const auto left = deadline - Clock::now();
  if (other_.bytes.load() == seen && left.count() > 0) sleep_while(other_.bytes, seen, left);
  other_.waited.store(0);
  return moved();
}

void RingEnd::interrupt() { wake(other_.bytes); }

uint32_t RingEnd::look() {
  seen_ = other_.bytes.load(std::memory_order_acquire);
  return seen_;
}

RingEnd::Place RingEnd::place(uint32_t start, uint32_t count) const {
  const uint32_t at = (count_ - start) % kRingBytes, straight = std::min(count, kRingBytes - at);
  const std::span<uint8_t> all(memory_.content);
  return {all.subspan(at, straight), all.first(count - straight)};
}

void RingEnd::publish(uint32_t count) {
  own_.bytes.store(count);
  if (own_.waited.load() != 0) wake(own_.bytes);
}

size_t RingWriter::write_some(std::span<const uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const uint32_t filled = checked(count_ - look());
    if (filled == 0 && start_ != count_) {
      start_ = count_;
      memory_.start.store(start_, std::memory_order_relaxed);  // seen with the count behind it
    }
    const uint32_t room = kRingBytes - filled;
    const auto n = static_cast<uint32_t>(std::min({bytes.size() - done, size_t{room}, kPiece}));
    if (n == 0) break;
    const Place to = place(start_, n);
    std::memcpy(to.first.data(), &bytes[done], to.first.size());
    std::memcpy(to.second.data(), bytes.data() + done + to.first.size(), to.second.size());
    count_ += n;
    publish(count_);
    done += n;
  }
  return done;
}

uint32_t RingReader::available() { return checked(look() - count_); }

void RingReader::taken(uint32_t bytes) {
  count_ += bytes;
  if (count_ - released_ >= kReleaseAt) release();
}

void RingReader::release() {
  if (released_ == count_) return;
  released_ = count_;
  publish(count_);
}

size_t RingReader::read_some(std::span<uint8_t> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const auto n =
        static_cast<uint32_t>(std::min({bytes.size() - done, size_t{available()}, kPiece}));
    if (n == 0) break;
    // Any start is within the ring; that of bytes which are there does not change.
    const Place from = place(memory_.start.load(std::memory_order_relaxed), n);
    std::memcpy(&bytes[done], from.first.data(), from.first.size());
    std::memcpy(bytes.data() + done + from.first.size(), from.second.data(), from.second.size());
    taken(n);
    done += n;
  }
  return done;
}

uint64_t RingReader::skip_some(uint64_t bytes) {
  const uint64_t n = std::min<uint64_t>(bytes, available());
  taken(static_cast<uint32_t>(n));
  return n;
}

}  // namespace cryptensor::net
