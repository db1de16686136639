// SPDX-License-Identifier: MIT
// Transports around a transport: for tests, leak analysis and simulated links.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "net/transport.h"

namespace cryptensor::net {

// Passes everything on.
class TransportDecorator : public Transport {
 public:
  explicit TransportDecorator(std::shared_ptr<Transport> inner) : inner_(std::move(inner)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  size_t receive_capacity(size_t frame_bytes) const override {
    return inner_->receive_capacity(frame_bytes);
  }
  void expect(const FrameHeader& header) override { inner_->expect(header); }
  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override {
    return inner_->post_send(peer, lane, std::move(frame));
  }
  std::unique_ptr<Pending> post_receive(int peer, int lane, std::shared_ptr<Bytes> frame,
                                        LengthRule rule) override {
    return inner_->post_receive(peer, lane, std::move(frame), rule);
  }
  void abort() override { inner_->abort(); }

 protected:
  std::shared_ptr<Transport> inner_;
};

// Keeps a copy of every frame that is sent.
class TraceTransport : public TransportDecorator {
 public:
  struct Sent {
    int peer;
    int lane;
    std::vector<uint8_t> frame;  // header (kHeaderBytes) and payload
    Operation operation() const;
  };

  using TransportDecorator::TransportDecorator;
  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override;
  std::vector<Sent> frames() const;  // in the order of sending
  void clear();

 private:
  mutable std::mutex mutex_;
  std::vector<Sent> sent_;
};

// Links with a delay and a bandwidth: a frame leaves when those before it to the same peer are out,
// takes its bytes' time, and arrives `latency` later. No bandwidth: no limit.
class DelayTransport : public TransportDecorator {
 public:
  DelayTransport(std::shared_ptr<Transport> inner, std::chrono::microseconds latency,
                 std::optional<double> bytes_per_second = {});
  ~DelayTransport() override;  // drops what is not due yet
  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override;

 private:
  class Line;
  std::shared_ptr<Line> line_;
};

// Sends instead of each frame what `fault` makes of it: other bytes, nothing (drop), it twice
// (duplicate); one that keeps a frame back and returns it with the next one reorders.
class FaultTransport : public TransportDecorator {
 public:
  using Frames = std::vector<std::shared_ptr<const Bytes>>;
  using Fault = std::function<Frames(int peer, int lane, std::shared_ptr<const Bytes> frame)>;

  FaultTransport(std::shared_ptr<Transport> inner, Fault fault);
  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override;

 private:
  std::mutex mutex_;
  Fault fault_;
};

// For faults: a copy of another size (bytes that are new are zero), a copy with one bit flipped.
std::shared_ptr<const Bytes> resized(const Bytes& frame, size_t size);
std::shared_ptr<const Bytes> flipped(const Bytes& frame, size_t bit);

}  // namespace cryptensor::net
