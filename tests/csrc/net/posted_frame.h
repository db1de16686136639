// SPDX-License-Identifier: MIT
// Frames of text, and receives that wait for them.
#pragma once

#include <chrono>
#include <cstring>
#include <memory>
#include <string>

#include "net/transport.h"

namespace cryptensor::net {

constexpr std::chrono::milliseconds kLong{20000};

inline std::shared_ptr<Bytes> frame_of(const std::string& text) {
  auto frame = std::make_shared<Bytes>(text.size());
  std::memcpy(frame->data(), text.data(), text.size());
  return frame;
}

inline std::string text_of(const Bytes& frame) {
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

struct Posted {
  std::shared_ptr<Bytes> frame;
  std::unique_ptr<Pending> pending;

  Posted(Transport& transport, int peer, int lane, size_t size)
      : frame(std::make_shared<Bytes>(size)),
        pending(transport.post_receive(peer, lane, frame, LengthRule::exact)) {}

  std::string wait(std::chrono::milliseconds timeout = kLong) {
    pending->wait(timeout);
    return text_of(*frame);
  }
};

}  // namespace cryptensor::net
