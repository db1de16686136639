// SPDX-License-Identifier: MIT
#include "net/message.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/errors.h"

namespace cryptensor::net {

// The slack of a Buffer behind its last byte is the room for the one byte too many.
Bytes::Bytes(size_t size, size_t capacity)
    : block_(kFrameOffset + std::max(size, capacity)), capacity_(std::max(size + 1, capacity)) {
  resize(size);
}

void Bytes::resize(size_t size) {
  size_ = std::min(size, capacity_);
  const uint64_t value = size_;
  std::memcpy(prefix(), &value, sizeof value);
}

uint64_t Bytes::size_in_prefix() const {
  uint64_t value;
  std::memcpy(&value, prefix(), sizeof value);
  return value;
}

Message::Message(size_t payload_bytes)
    : frame_(std::make_shared<Bytes>(kHeaderBytes + payload_bytes)) {}

std::shared_ptr<const Bytes> Message::seal(const FrameHeader& header) && {
  if (frame_ == nullptr) throw Error("an empty message cannot be sent");
  write(header, frame_->data());
  return std::move(frame_);
}

}  // namespace cryptensor::net
