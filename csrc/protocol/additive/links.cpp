// SPDX-License-Identifier: MIT
#include "protocol/additive/links.h"

#include <cstring>

#include "core/errors.h"
#include "ring/words.h"

namespace cryptensor::protocol::additive {

OperationCost Links::total() const {
  const net::Counters& parties = channel_->counters(lane_);
  OperationCost cost;
  cost.rounds = rounds_;
  cost.bytes_sent = parties.payload_sent;
  cost.bytes_received = parties.payload_received;
  cost.messages = parties.messages_sent;
  cost.dealer_bytes = provider_ == nullptr ? 0 : provider_->dealer_bytes();
  cost.wait_seconds = parties.wait_seconds + channel_->counters(net::kCorrectionLane).wait_seconds;
  return cost;
}

void say_goodbye(Links& links) {
  net::Channel& channel = links.channel();
  const int lane = links.lane();
  try {
    std::vector<std::unique_ptr<net::Receive>> receives;
    for (int p = 0; p < links.parties(); ++p) {
      if (p == links.rank()) continue;
      receives.push_back(channel.receive(p, lane, net::Operation::goodbye, net::DType::bytes, 0));
      channel.send(p, lane, net::Operation::goodbye, net::DType::bytes, net::Message(0));
    }
    for (auto& receive : receives) receive->wait_without_limit();
    channel.flush();
  } catch (const PeerLost&) {
    // It left first, or failed and reports that itself; this party has all that it needs.
  }
}

Round::Round(Links& links, net::Operation operation, net::DType dtype, size_t words)
    : links_(links), operation_(operation), dtype_(dtype), words_(words), message_(8 * words) {
  for (int peer = 0; peer < links.parties(); ++peer) {
    if (peer == links.rank()) continue;
    receives_.push_back(links.channel().receive(peer, links.lane(), operation, dtype, 8 * words));
  }
}

void Round::send() {
  links_.count_round();
  bool first = true;
  for (int peer = 0; peer < links_.parties(); ++peer) {
    if (peer == links_.rank()) continue;
    // Every frame has a header of its own, so that a third party needs a copy.
    net::Message message = first ? message_.alias() : net::Message(8 * words_);
    if (!first) std::memcpy(message.data(), message_.data(), 8 * words_);
    links_.channel().send(peer, links_.lane(), operation_, dtype_, std::move(message));
    first = false;
  }
}

template <class Combine>
const uint64_t* Round::wait(const Combine& combine) {
  others_ = receives_[0]->wait();
  for (size_t i = 1; i < receives_.size(); ++i) {
    const net::Message next = receives_[i]->wait();
    combine(others_.as<uint64_t>(), next.as<uint64_t>(), words_);
  }
  return others_.as<uint64_t>();
}

const uint64_t* Round::sum_of_others() { return wait(ring::add_to); }
const uint64_t* Round::xor_of_others() { return wait(ring::xor_to); }

}  // namespace cryptensor::protocol::additive
