// SPDX-License-Identifier: MIT
#include "core/buffer.h"

#include <string.h>  // explicit_bzero
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

namespace cryptensor {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSlack = 64;
constexpr size_t kPage = 4096;

// Smaller blocks go straight to malloc, which reuses them itself without giving pages back.
constexpr size_t kSmallestPooled = size_t{64} << 10;

// Four sizes to a doubling: at most a quarter of a block lies idle, and blocks of nearly the same
// size still serve each other.
struct SizeClass {
  size_t index;
  size_t bytes;
};

SizeClass size_class(size_t bytes) {
  const int shift = std::bit_width(bytes - 1) - 3;
  const size_t quarters = ((bytes - 1) >> shift) + 1;  // 5 to 8
  return {static_cast<size_t>(shift) * 4 + (quarters - 5), quarters << shift};
}

constexpr size_t bytes_of_class(size_t index) { return (index % 4 + 5) << (index / 4); }

constexpr size_t rounded_up(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }
size_t padded(size_t bytes) { return rounded_up(bytes, kAlignment); }

uint8_t* small_block(size_t bytes) {
  void* block = std::aligned_alloc(kAlignment, bytes + kSlack);
  if (block == nullptr) throw std::bad_alloc();
  return static_cast<uint8_t*>(block);
}

void free_small(uint8_t* block, size_t bytes) noexcept {
  explicit_bzero(block, bytes + kSlack);
  std::free(block);
}

// Large blocks are mappings of their own: between the objects of malloc's heap they would leave
// gaps that nothing else fits into. To wipe them at each release would cost as much time as a tenth
// of a comparison: they keep what was in them while they are in the pool, but a core dump leaves
// them out. The system gives no page to anybody else before it is wiped.
size_t mapped_bytes(size_t bytes) { return rounded_up(bytes + kSlack, kPage); }

uint8_t* large_block(size_t bytes) {
  const size_t whole = mapped_bytes(bytes);
  void* block = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  ::madvise(block, whole, MADV_DONTDUMP);
  return static_cast<uint8_t*>(block);
}

void free_large(void* block, size_t bytes) noexcept { ::munmap(block, mapped_bytes(bytes)); }

struct FreeBlock {
  FreeBlock* next;
};

// Free blocks of one size class, linked through their first bytes, so that releasing one cannot
// fail.
struct List {
  FreeBlock* head = nullptr;
  size_t blocks = 0;
  size_t least = 0;  // blocks at the leanest moment since the last trim: so many nobody needed

  size_t all() const { return blocks; }
  size_t idle() const { return least; }

  void push(uint8_t* block) {
    head = new (block) FreeBlock{head};
    ++blocks;
  }
  uint8_t* pop() {
    least = std::min(least, --blocks);
    return reinterpret_cast<uint8_t*>(std::exchange(head, head->next));
  }
};

class Pool {
 public:
  uint8_t* take(size_t bytes) {
    const SizeClass wanted = size_class(bytes);
    {
      const std::lock_guard lock(mutex_);
      if (List& list = lists_[wanted.index]; list.head != nullptr) {
        held_ -= wanted.bytes;
        return list.pop();
      }
    }
    return large_block(wanted.bytes);
  }

  void give(uint8_t* block, size_t bytes) noexcept {
    const SizeClass owner = size_class(bytes);
    bool keeps = false, old = false;
    {
      const std::lock_guard lock(mutex_);
      keeps = held_ + owner.bytes <= kPoolLimit;
      if (keeps) {
        held_ += owner.bytes;
        lists_[owner.index].push(block);
      }
      old = Clock::now() - trimmed_ > kPoolPatience;
    }
    if (!keeps) free_large(block, owner.bytes);  // outside the lock: unmapping takes milliseconds
    if (old) release(&List::idle);
  }

  // Frees so many blocks of each list as `count` says.
  void release(size_t (List::*count)() const) noexcept {
    std::array<FreeBlock*, kClasses> released{};
    {
      const std::lock_guard lock(mutex_);
      for (size_t i = 0; i < kClasses; ++i) {
        List& list = lists_[i];
        for (size_t left = (list.*count)(); left > 0; --left) {
          held_ -= bytes_of_class(i);
          released[i] = new (list.pop()) FreeBlock{released[i]};
        }
        list.least = list.blocks;
      }
      trimmed_ = Clock::now();
    }
    for (size_t i = 0; i < kClasses; ++i) {
      FreeBlock* block = released[i];
      while (block != nullptr) free_large(std::exchange(block, block->next), bytes_of_class(i));
    }
  }

  size_t held() {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kClasses = 4 * 64;

  std::mutex mutex_;
  std::array<List, kClasses> lists_{};
  Clock::time_point trimmed_ = Clock::now();
  size_t held_ = 0;
};

// Never destroyed: a Buffer in a static object may outlive any order of destruction.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

Buffer::Buffer(size_t bytes) : size_(bytes) {
  // The rounding below must not overflow; an allocator refuses far smaller sizes anyway.
  if (bytes > std::numeric_limits<size_t>::max() / 4) throw std::bad_alloc();
  const size_t needed = padded(bytes);
  data_ = needed < kSmallestPooled ? small_block(needed) : pool().take(needed);
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  const size_t needed = padded(size_);
  if (needed < kSmallestPooled) {
    free_small(data_, needed);
  } else {
    pool().give(data_, needed);
  }
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  Buffer moved(std::move(other));
  std::swap(data_, moved.data_);
  std::swap(size_, moved.size_);
  return *this;
}

void Buffer::zero() {
  if (data_ != nullptr) std::memset(data_, 0, padded(size_) + kSlack);
}

void drop_pool() { pool().release(&List::all); }

void trim_pool() { pool().release(&List::idle); }

size_t pooled_bytes() { return pool().held(); }

}  // namespace cryptensor
