// SPDX-License-Identifier: MIT
// Tells valgrind which bytes of a session are secret: it then reports every branch and every
// address that depends on one of them.
#pragma once

#include <valgrind/memcheck.h>

#include <memory>
#include <utility>

#include "net/decorators.h"

namespace cryptensor::constant_time {

inline void mark_secret(void* bytes, size_t n) { VALGRIND_MAKE_MEM_UNDEFINED(bytes, n); }
inline void mark_public(const void* bytes, size_t n) { VALGRIND_MAKE_MEM_DEFINED(bytes, n); }

// What a party sends is masked, so it is public from then on; but seeds, and the corrections that a
// dealer computed from the masks, are as secret where they arrive as the shares are.
class MarkingTransport : public net::TransportDecorator {
 public:
  using TransportDecorator::TransportDecorator;

  std::unique_ptr<net::Pending> post_send(int peer, int lane,
                                          std::shared_ptr<const net::Bytes> frame) override {
    mark_public(frame->data(), frame->size());
    return inner_->post_send(peer, lane, std::move(frame));
  }

  std::unique_ptr<net::Pending> post_receive(int peer, int lane, std::shared_ptr<net::Bytes> frame,
                                             net::LengthRule rule) override {
    auto pending = inner_->post_receive(peer, lane, frame, rule);
    return std::make_unique<Marking>(std::move(pending), std::move(frame));
  }

 private:
  class Marking : public net::Pending {
   public:
    Marking(std::unique_ptr<net::Pending> inner, std::shared_ptr<net::Bytes> frame)
        : inner_(std::move(inner)), frame_(std::move(frame)) {}

    void wait(std::chrono::milliseconds timeout) override {
      inner_->wait(timeout);
      uint8_t* const payload = frame_->data() + net::kHeaderBytes;
      const size_t size = frame_->size() - net::kHeaderBytes;
      const auto operation = static_cast<net::Operation>(frame_->data()[6]);
      if (operation == net::Operation::dealer_seed ||
          operation == net::Operation::dealer_correction) {
        mark_secret(payload, size);
      }
      // The seeds are the last of it.
      if (operation == net::Operation::handshake) mark_secret(payload + size - 32, 32);
    }

   private:
    std::unique_ptr<net::Pending> inner_;
    std::shared_ptr<net::Bytes> frame_;
  };
};

}  // namespace cryptensor::constant_time
