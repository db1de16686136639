// SPDX-License-Identifier: MIT
// Values in and out: inputs that stay with their owner, shares, and the only opening to the clear.
#include <ATen/ops/add.h>

#include "fixedpoint/fixedpoint.h"
#include "protocol/additive/announcement.h"
#include "protocol/replicated/replication.h"

namespace cryptensor::protocol::replicated {

using additive::contains;
using additive::Exchange;
using additive::only;
using additive::PartySet;

namespace {

constexpr PartySet kOfPair = 0b011;
const PartySet kAll = additive::everyone(kParties);

}  // namespace

std::vector<Secret> ReplicatedEngine::input(const std::vector<Input>& inputs, int src) {
  OperationScope scope(statistics_, "input");
  return additive::enter(links_, inputs, src, precision(),
                         [this](const Input& in) { return encoded_input(in); });
}

// What party 2 has no part in becomes a value of the pair.
Secret ReplicatedEngine::share(const Secret& x) {
  const bool of_pair = x.owner() != kShared && x.owner() != kThird;
  const PartySet among = of_pair ? kOfPair : kAll;
  return Secret(at::add(contribution(x, kShared), zero_share(x.sizes(), among)), x.fraction_bits(),
                of_pair ? kPair : kShared);
}

at::Tensor ReplicatedEngine::opened(const Secret& a_in, std::optional<int> dst) {
  const Secret a = settle(a_in);
  OperationScope scope(statistics_, "reveal");
  const bool learns = !dst || *dst == rank();
  if (a.is_public() || (dst && a.owner() == *dst)) {
    return learns ? fixedpoint::decode(a.share(), a.fraction_bits()) : at::Tensor();
  }
  const PartySet receivers = dst ? only(*dst) : kAll;
  const auto& replica = a.store()->replica;
  Exchange exchange(links_, net::Operation::reveal);
  size_t item = 0;
  at::Tensor value;
  if (a.is_shared() && replica) {
    // A party lacks one share, which is the own one of the party before it.
    const at::Tensor own = a.view_into(replica->own);
    for (int p = 0; p < kParties; ++p) {
      if (!contains(receivers, p)) continue;
      const at::Tensor part = rank() == before(p) ? own.contiguous() : at::Tensor();
      const size_t added = exchange.add(part, a.sizes(), only(before(p)), only(p));
      if (p == rank()) item = added;
    }
    exchange.run();
    if (learns) {
      value = at::add(own, a.view_into(replica->next)).add_(exchange.result(item));
    }
  } else {
    // Shares are made fresh before they are sent: a share of an owned value is the value, and a
    // share of a sum says more than the sum.
    const PartySet senders = a.is_owned() ? only(a.owner()) : a.owner() == kPair ? kOfPair : kAll;
    const at::Tensor part = a.is_owned()
                                ? a.share().contiguous()
                                : at::add(a.share(), zero_share(a.sizes(), senders)).contiguous();
    item = exchange.add(part, a.sizes(), senders, receivers);
    exchange.run();
    value = exchange.result(item);
  }
  return learns ? fixedpoint::decode(value, a.fraction_bits()) : at::Tensor();
}

}  // namespace cryptensor::protocol::replicated
