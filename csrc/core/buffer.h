// SPDX-License-Identifier: MIT
// Scratch memory from a process-wide pool: for large blocks the page faults of a fresh allocation
// cost more than the arithmetic done in it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace cryptensor {

// Bytes the pool keeps for reuse; what is released beyond that goes back to the system.
inline constexpr size_t kPoolLimit = size_t{1} << 30;
// And the blocks of which it had no need for so long.
inline constexpr auto kPoolPatience = std::chrono::seconds(10);

// Uninitialised bytes, aligned to 64. At least 64 bytes behind the last one belong to the block
// too, so that a kernel may read and write whole vectors past the end. A reused block still holds
// the secrets of its last owner: send only bytes that were written since.
class Buffer {
 public:
  Buffer() = default;  // data() is null
  // Throws std::bad_alloc. With `bytes` = 0 data() is not null.
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

  void zero();  // the bytes and the slack behind them

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Returns every block that is not in use to the system.
void drop_pool();

// Returns the blocks that nobody needed since the last call. While large blocks are released, the
// pool does so by itself every kPoolPatience.
void trim_pool();

// Bytes held for reuse.
size_t pooled_bytes();

}  // namespace cryptensor
