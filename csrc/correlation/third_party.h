// SPDX-License-Identifier: MIT
// A dealer in a process of its own, which is none of the parties. The corrected party asks it for
// batches of correlations, ahead of demand where the program repeats itself.
#pragma once

#include <chrono>
#include <deque>

#include "correlation/forecast.h"
#include "correlation/provider.h"
#include "net/channel.h"

namespace cryptensor::correlation {

// A request: count, then serial, length and descriptor of each. Count 0 ends the session, and is
// answered by an empty correction. Requests are served in serving.h.
constexpr size_t kMaxRequestBytes = size_t{1} << 16;

class ThirdPartyProvider : public Provider {
 public:
  // The dealer has rank `parties` on the channel; the seed was received from it.
  ThirdPartyProvider(net::Channel& channel, const crypto::Key& key, int rank, int parties)
      : Provider(key, rank, parties), channel_(channel), dealer_rank_(parties) {}

  void finish() override;

  // Memory for corrections asked for and not yet used. A guess has to be earned: at most so many
  // times the bytes that were foreseen rightly since the last wrong guess.
  static constexpr size_t kAheadBytes = size_t{256} << 20;
  static constexpr size_t kAheadOfForeseen = 4;
  // And at most so many passes of the program, or a few small ones: a dealer that fills a large
  // window competes with the parties for their cores, and for nothing if the program ends.
  static constexpr size_t kAheadPasses = 32;
  static constexpr size_t kAheadFloor = size_t{4} << 20;
  static constexpr size_t kAheadCount = 512;

 protected:
  std::shared_ptr<const uint8_t> corrections(uint64_t serial, uint64_t digest,
                                             const Descriptor& descriptor, Part part,
                                             size_t bytes) override;
  void taken(uint64_t serial, const Descriptor& descriptor) override;

 private:
  struct Expected {
    uint64_t serial, digest;
    size_t bytes;
    std::unique_ptr<net::Receive> receive;
  };
  class Batch;

  void discard_until(uint64_t serial, uint64_t digest);
  void ask_ahead(Batch& batch, uint64_t serial);
  void ask(Batch& batch, uint64_t serial, uint64_t digest, const Descriptor& descriptor,
           size_t bytes);

  size_t ahead_limit() const;

  net::Channel& channel_;
  int dealer_rank_;
  Forecast forecast_;
  std::deque<Expected> expected_;
  size_t expected_bytes_ = 0;
  size_t foreseen_bytes_ = 0;
};

}  // namespace cryptensor::correlation
