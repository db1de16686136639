// SPDX-License-Identifier: MIT
// The memory of a frame, and the payload in it that protocols write and read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/buffer.h"
#include "net/frame.h"

namespace cryptensor::net {

// One frame: header and payload without a gap, the payload aligned to 64 bytes. The 8 bytes in
// front of the frame always hold its size (little-endian), for transports that send whole blocks.
// The memory is uninitialised: write everything before it is sent.
class Bytes {
 public:
  static constexpr size_t kPrefixBytes = 8;

  // A frame of `size` bytes with room for at least `capacity` and for at least one byte more than
  // `size`: a frame that is too long must be noticed, not cut to the right size.
  explicit Bytes(size_t size, size_t capacity = 0);

  uint8_t* data() { return block_.data() + kFrameOffset; }
  const uint8_t* data() const { return block_.data() + kFrameOffset; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::span<const uint8_t> span() const { return {data(), size_}; }
  void resize(size_t size);  // at most capacity(); the content stays

  uint8_t* prefix() { return data() - kPrefixBytes; }
  const uint8_t* prefix() const { return data() - kPrefixBytes; }
  uint64_t size_in_prefix() const;

 private:
  static constexpr size_t kFrameOffset = 64 - kHeaderBytes;

  Buffer block_;
  size_t size_;
  size_t capacity_;
};

// A payload with room for its header. Moving is cheap; the bytes are never copied on their way.
class Message {
 public:
  Message() = default;  // no payload, cannot be sent
  explicit Message(size_t payload_bytes);
  // An arrived frame of at least kHeaderBytes.
  explicit Message(std::shared_ptr<Bytes> frame) : frame_(std::move(frame)) {}
  Message(Message&&) noexcept = default;
  Message& operator=(Message&&) noexcept = default;

  uint8_t* data() { return frame_->data() + kHeaderBytes; }
  const uint8_t* data() const { return frame_->data() + kHeaderBytes; }
  size_t size() const { return frame_ ? frame_->size() - kHeaderBytes : 0; }
  explicit operator bool() const { return frame_ != nullptr; }

  // A second view of the same payload: what is sent can still be read, and must not be written.
  Message alias() const { return Message(frame_); }

  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data());
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data());
  }

  // Writes the header and gives the frame away.
  std::shared_ptr<const Bytes> seal(const FrameHeader& header) &&;

 private:
  std::shared_ptr<Bytes> frame_;
};

}  // namespace cryptensor::net
