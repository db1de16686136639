// SPDX-License-Identifier: MIT
// One party's links to the others: rounds are counted here, and nothing else talks to the channel.
#pragma once

#include <memory>
#include <vector>

#include "correlation/provider.h"
#include "net/channel.h"
#include "protocol/statistics.h"

namespace cryptensor::protocol::additive {

class Links : public CostSource {
 public:
  Links(std::shared_ptr<net::Channel> channel, int parties, int lane = net::kPartyLane)
      : channel_(std::move(channel)), parties_(parties), lane_(lane) {}

  net::Channel& channel() { return *channel_; }
  int rank() const { return channel_->rank(); }
  int parties() const { return parties_; }
  int lane() const { return lane_; }
  void count_round() { ++rounds_; }
  void set_provider(const correlation::Provider* provider) { provider_ = provider; }

  OperationCost total() const override;

 private:
  std::shared_ptr<net::Channel> channel_;
  int parties_, lane_;
  uint64_t rounds_ = 0;
  const correlation::Provider* provider_ = nullptr;
};

// The last message of a session. Gloo forgets what has arrived when the sender closes the
// connection: nobody leaves before all have what was sent to them. The others may compute alone for
// as long as they like.
void say_goodbye(Links& links);

// One round in which every party sends the same number of words to every other party. The receives
// are posted by the constructor: those of all rounds of a protocol before the first is sent.
class Round {
 public:
  Round(Links& links, net::Operation operation, net::DType dtype, size_t words);

  uint64_t* out() { return message_.as<uint64_t>(); }  // to be written, then send()
  void send();
  const uint64_t* own() const { return message_.as<uint64_t>(); }
  // Waits for all others and combines what they sent.
  const uint64_t* sum_of_others();
  const uint64_t* xor_of_others();

 private:
  template <class Combine>
  const uint64_t* wait(const Combine& combine);

  Links& links_;
  net::Operation operation_;
  net::DType dtype_;
  size_t words_;
  net::Message message_, others_;
  std::vector<std::unique_ptr<net::Receive>> receives_;
};

}  // namespace cryptensor::protocol::additive
