// SPDX-License-Identifier: MIT
// Products of replicated values. Of the nine products of shares the party that leads makes four as
// one, (x_0 + x_1) (y_0 + y_1), the next one x_2 (y_1 + y_2) + x_1 y_2, and the last x_2 y_0 + x_0
// y_2: five large products where two for each party would be six, and three where one party owns
// an operand and leads. They add up to xy. The result is never sent as it is: whatever needs it
// elsewhere adds a fresh zero share.
#include <ATen/ops/add.h>
#include <ATen/ops/mul.h>

#include <algorithm>

#include "protocol/replicated/replication.h"

namespace cryptensor::protocol::replicated {

using additive::Exchange;

// This party's part of the product. What does not need the message is done while it is under way.
at::Tensor ReplicatedEngine::product_of(const ring::BilinearMap& map, Exchange& exchange,
                                        Replication& left, Replication& right) const {
  const auto times = [&map](const at::Tensor& a, const at::Tensor& b) {
    return a.defined() && b.defined() ? map(a, b) : at::Tensor();
  };
  const int lead = std::max({left.x.owner(), right.x.owner(), 0});
  const int role = (rank() + kParties - lead) % kParties;
  const bool opens = !left.cached || !right.cached;
  if (opens) exchange.send();
  at::Tensor one, other;
  const bool by_left = role == 2 && left.cached;  // the right operand's share is here already
  const bool by_right = role == 2 && !by_left && right.cached;
  if (by_left) one = times(left.next(), right.own());
  if (by_right) one = times(left.own(), right.next());
  if (opens) exchange.receive();
  complete(exchange, left);
  complete(exchange, right);
  if (role < 2) {
    one = times(role == 0 ? sum_of(left.own(), left.next()) : left.next(),
                sum_of(right.own(), right.next()));
    if (role == 1) other = times(left.own(), right.next());
  } else {
    if (!by_right) other = times(left.own(), right.next());
    if (!by_left) (by_right ? other : one) = times(left.next(), right.own());
  }
  if (one.defined() && other.defined()) return one.add_(other);
  if (one.defined() || other.defined()) return one.defined() ? one : other;
  return zeros_like_share(map.output_sizes(left.x.sizes(), right.x.sizes()));
}

Secret ReplicatedEngine::shared_product(const ring::BilinearMap& map, const Secret& a,
                                        const Secret& b) {
  OperationScope scope(statistics_, additive::operation_name(map.kind));
  Exchange exchange(links_, additive::frame_operation(map.kind));
  const int bits = a.fraction_bits() + b.fraction_bits();
  Replication left = prepare(exchange, a);
  if (a.store() == b.store() && left.whole && !left.cached) {
    exchange.run();
    complete(exchange, left);
    left.cached = true;
  }
  Replication right = prepare(exchange, b);
  return Secret(product_of(map, exchange, left, right), bits, kShared);
}

Secret ReplicatedEngine::shared_square(const Secret& a) {
  OperationScope scope(statistics_, "square");
  Exchange exchange(links_, net::Operation::multiply);
  Replication x = prepare(exchange, a);
  if (!x.cached) exchange.run();
  complete(exchange, x);
  // What is shared has no share that is known to be zero. Party 0 leads.
  const at::Tensor own = x.own(), next = x.next();
  at::Tensor out;
  if (rank() == 0) {
    const at::Tensor sum = at::add(own, next);
    out = at::mul(sum, sum);
  } else {
    out = rank() == 1 ? at::mul(next, at::add(next, own, /*alpha=*/2)) : at::mul(own, next).mul_(2);
  }
  return Secret(out, 2 * a.fraction_bits(), kShared);
}

}  // namespace cryptensor::protocol::replicated
