// SPDX-License-Identifier: MIT
#include "protocol/additive/exchange.h"

#include <ATen/ops/empty.h>
#include <c10/util/accumulate.h>

#include <cstring>

#include "ring/words.h"

namespace cryptensor::protocol::additive {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

}  // namespace

const char* operation_name(ring::Bilinear kind) {
  switch (kind) {
    case ring::Bilinear::multiply:
      return "mul";
    case ring::Bilinear::matmul:
      return "matmul";
    case ring::Bilinear::convolution:
      return "conv";
  }
  return "product";
}

net::Operation frame_operation(ring::Bilinear kind) {
  switch (kind) {
    case ring::Bilinear::multiply:
      return net::Operation::multiply;
    case ring::Bilinear::matmul:
      return net::Operation::matmul;
    case ring::Bilinear::convolution:
      return net::Operation::convolution;
  }
  return net::Operation::open_mask;
}

size_t Exchange::add(const at::Tensor& part, at::IntArrayRef sizes, PartySet senders,
                     PartySet receivers) {
  Item item{part,    {},       sizes.vec(), static_cast<size_t>(c10::multiply_integers(sizes)),
            senders, receivers};
  if (contains(senders, links_.rank())) item.sum = part;
  items_.push_back(std::move(item));
  return items_.size() - 1;
}

size_t Exchange::words_between(int from, int to) const {
  size_t n = 0;
  for (const Item& item : items_) n += travels(item, from, to) ? item.numel : 0;
  return n;
}

void Exchange::send() {
  const int me = links_.rank();
  net::Channel& channel = links_.channel();
  for (int peer = 0; peer < links_.parties(); ++peer) {
    const size_t n = peer == me ? 0 : words_between(peer, me);
    if (n > 0) {
      receives_.emplace_back(
          peer, channel.receive(peer, links_.lane(), operation_, net::DType::int64, 8 * n));
    }
  }
  for (int peer = 0; peer < links_.parties(); ++peer) {
    const size_t n = peer == me ? 0 : words_between(me, peer);
    if (n == 0) continue;
    net::Message message(8 * n);
    uint64_t* to = message.as<uint64_t>();
    for (const Item& item : items_) {
      if (!travels(item, me, peer)) continue;
      std::memcpy(to, words(item.part), 8 * item.numel);
      to += item.numel;
    }
    channel.send(peer, links_.lane(), operation_, net::DType::int64, std::move(message));
  }
  links_.count_round();
}

void Exchange::receive() {
  const int me = links_.rank();
  for (auto& [peer, receive] : receives_) {
    const net::Message message = receive->wait();
    const uint64_t* from = message.as<uint64_t>();
    for (Item& item : items_) {
      if (!travels(item, peer, me)) continue;
      if (!item.sum.defined()) {
        item.sum = at::empty(item.sizes, at::kLong);
        std::memcpy(words(item.sum), from, 8 * item.numel);
      } else {
        // The part itself stays as it was: it may be somebody's share.
        const bool own = item.sum.is_same(item.part);
        at::Tensor sum = own ? at::empty(item.sizes, at::kLong) : item.sum;
        ring::sum_of(words(sum), words(item.sum), from, item.numel);
        item.sum = sum;
      }
      from += item.numel;
    }
  }
  receives_.clear();
  for (Item& item : items_) {  // what has no elements is not sent
    if (!item.sum.defined() && item.numel == 0) item.sum = at::empty(item.sizes, at::kLong);
  }
}

}  // namespace cryptensor::protocol::additive
