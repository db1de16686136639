// SPDX-License-Identifier: MIT
// Bytes from one process to another through memory that both have mapped. Neither side believes
// what the other can write: a side keeps its own count to itself and reads the other's once.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace cryptensor::net {

// A longer frame passes through in pieces, which costs changes between threads. Pages that no frame
// has reached take no memory.
inline constexpr uint32_t kRingBytes = uint32_t{8} << 20;

// As the processes share it; all zero in the beginning. Counts are of bytes, modulo 2^32. A writer
// that finds the ring empty begins at its start again, so that small frames stay in the cache.
struct RingMemory {
  struct alignas(64) Count {
    std::atomic<uint32_t> bytes;   // a futex of the kernel
    std::atomic<uint32_t> waited;  // not 0: the other side sleeps until `bytes` changes
  };
  Count written;
  Count read;
  std::atomic<uint32_t> start;  // the count of the byte at content[0]; changes while it is empty
  alignas(64) std::array<uint8_t, kRingBytes> content;
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// One end of a ring. One thread at a time, but for wait(); interrupt() from any.
class RingEnd {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // The other side's count, as last looked at.
  uint32_t seen() const { return seen_; }
  // Returns true as soon as the other side has moved since it was `seen`, false at the deadline or
  // when interrupted. It spins for a moment: waking a sleeper takes longer than most rounds. One
  // thread at a time, beside one that reads or writes.
  bool wait(uint32_t seen, Deadline deadline);
  void interrupt();  // a wait() under way, which may miss it

 protected:
  RingEnd(RingMemory& memory, RingMemory::Count& own, RingMemory::Count& other)
      : memory_(memory), own_(own), other_(other) {}

  uint32_t look();               // at the other side's count
  void publish(uint32_t count);  // this side's, and wakes the other

  // Where `count` bytes from this side's place on are: in two pieces at the end of the ring.
  struct Place {
    std::span<uint8_t> first, second;
  };
  Place place(uint32_t start, uint32_t count) const;

  RingMemory& memory_;
  uint32_t count_ = 0;  // this side's; what the memory says of it is for the other side

 private:
  RingMemory::Count& own_;
  RingMemory::Count& other_;
  uint32_t seen_ = 0;
};

class RingWriter : public RingEnd {
 public:
  explicit RingWriter(RingMemory& memory) : RingEnd(memory, memory.written, memory.read) {}

  // Writes what there is room for and returns how much that was. ProtocolError where the counts are
  // impossible.
  size_t write_some(std::span<const uint8_t> bytes);

 private:
  uint32_t start_ = 0;
};

class RingReader : public RingEnd {
 public:
  explicit RingReader(RingMemory& memory) : RingEnd(memory, memory.read, memory.written) {}

  // Reads what is there and returns how much that was. ProtocolError as above.
  size_t read_some(std::span<uint8_t> bytes);
  uint64_t skip_some(uint64_t bytes);
  // Gives the room of what was read back to the writer. Reading does so by itself now and then.
  void release();

 private:
  uint32_t available();
  void taken(uint32_t bytes);

  uint32_t released_ = 0;
};

}  // namespace cryptensor::net
