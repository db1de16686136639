// SPDX-License-Identifier: MIT
#include "core/buffer.h"

#include <string.h>  // explicit_bzero
#include <sys/mman.h>

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

// To wipe large blocks at each release would cost as much time as a tenth of a comparison: they
// keep what was in them while they are in the pool, but a core dump leaves them out.
uint8_t* large_block(size_t bytes) {
  const size_t whole = rounded_up(bytes + kSlack, kPage);
  void* block = std::aligned_alloc(kPage, whole);
  if (block == nullptr) throw std::bad_alloc();
  ::madvise(block, whole, MADV_DONTDUMP);
  return static_cast<uint8_t*>(block);
}

void free_large(void* block, size_t bytes) noexcept {
  const size_t whole = rounded_up(bytes + kSlack, kPage);
  ::madvise(block, whole, MADV_DONTNEED);  // the allocator gets zeros back
  ::madvise(block, whole, MADV_DODUMP);
  std::free(block);
}

// Free blocks form a list for each size class, linked through their first bytes, so that releasing
// one cannot fail.
class Pool {
 public:
  uint8_t* take(size_t bytes) {
    const SizeClass wanted = size_class(bytes);
    {
      const std::lock_guard lock(mutex_);
      FreeBlock*& head = free_[wanted.index];
      if (head != nullptr) {
        held_ -= wanted.bytes;
        return reinterpret_cast<uint8_t*>(std::exchange(head, head->next));
      }
    }
    return large_block(wanted.bytes);
  }

  void give(uint8_t* block, size_t bytes) noexcept {
    const SizeClass owner = size_class(bytes);
    {
      const std::lock_guard lock(mutex_);
      if (held_ + owner.bytes <= kPoolLimit) {
        held_ += owner.bytes;
        FreeBlock*& head = free_[owner.index];
        head = new (block) FreeBlock{head};
        return;
      }
    }
    free_large(block, owner.bytes);  // outside the lock: unmapping takes milliseconds
  }

  void drop() noexcept {
    std::array<FreeBlock*, kClasses> lists{};
    {
      const std::lock_guard lock(mutex_);
      lists.swap(free_);
      held_ = 0;
    }
    for (size_t i = 0; i < kClasses; ++i) {
      FreeBlock* block = lists[i];
      while (block != nullptr) free_large(std::exchange(block, block->next), bytes_of_class(i));
    }
  }

  size_t held() {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr size_t kClasses = 4 * 64;

  std::mutex mutex_;
  std::array<FreeBlock*, kClasses> free_{};
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

void drop_pool() { pool().drop(); }

size_t pooled_bytes() { return pool().held(); }

}  // namespace cryptensor
