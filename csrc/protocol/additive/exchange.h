// SPDX-License-Identifier: MIT
// One round in which several values are opened to different parties, in one flat message a pair.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "protocol/additive/links.h"
#include "ring/bilinear.h"

namespace cryptensor::protocol::additive {

using PartySet = uint32_t;  // bit i: party i
inline PartySet only(int party) { return PartySet{1} << party; }
inline PartySet everyone(int parties) { return (PartySet{1} << parties) - 1; }
inline bool contains(PartySet set, int party) { return (set >> party & 1) != 0; }

// Of a product: in the statistics, and in the frames of its exchange.
const char* operation_name(ring::Bilinear kind);
net::Operation frame_operation(ring::Bilinear kind);

class Exchange {
 public:
  Exchange(Links& links, net::Operation operation) : links_(links), operation_(operation) {}

  // Opens the sum of the senders' parts to the receivers. `part` is read at the senders only, and
  // must be contiguous. All parties add the same items. Returns the item's number.
  size_t add(const at::Tensor& part, at::IntArrayRef sizes, PartySet senders, PartySet receivers);

  // run() in two parts, for work that can be done while the messages are under way.
  void send();
  void receive();
  void run() {
    send();
    receive();
  }

  // At receivers: the sum. At senders that receive nothing: their own part. Else undefined.
  const at::Tensor& result(size_t item) const { return items_[item].sum; }

 private:
  struct Item {
    at::Tensor part, sum;
    std::vector<int64_t> sizes;
    size_t numel;
    PartySet senders, receivers;
  };
  bool travels(const Item& item, int from, int to) const {
    return item.numel > 0 && contains(item.senders, from) && contains(item.receivers, to);
  }
  size_t words_between(int from, int to) const;

  Links& links_;
  net::Operation operation_;
  std::vector<Item> items_;
  std::vector<std::pair<int, std::unique_ptr<net::Receive>>> receives_;
};

}  // namespace cryptensor::protocol::additive
