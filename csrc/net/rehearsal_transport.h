// SPDX-License-Identifier: MIT
// One rank without peers: what it sends goes nowhere, and it answers itself. The frames are as many
// and as long as with peers, so a program can be counted and timed alone; the values mean nothing.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "net/transport.h"

namespace cryptensor::net {

class RehearsalTransport : public Transport {
 public:
  RehearsalTransport(int rank, int size) : rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void expect(const FrameHeader& header) override { expected_ = header; }
  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override;
  // Handshakes and announcements are answered with this rank's own, so that all ranks agree;
  // everything else with zeros.
  std::unique_ptr<Pending> post_receive(int peer, int lane, std::shared_ptr<Bytes> frame,
                                        LengthRule rule) override;
  void abort() override {}

 private:
  class Answer;
  using Sent = std::map<std::pair<int, int>, std::shared_ptr<const Bytes>>;  // by peer and lane

  int rank_, size_;
  FrameHeader expected_;
  std::shared_ptr<Sent> sent_ = std::make_shared<Sent>();  // the last frame of each
};

}  // namespace cryptensor::net
