// SPDX-License-Identifier: MIT
// Products of replicated values: z_i = x_i y_i + x_i y_(i+1) + x_(i+1) y_i, which add up to xy. The
// result is never sent as it is: whatever needs it elsewhere adds a fresh zero share.
#include <ATen/ops/add.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>

#include "protocol/replicated/replication.h"

namespace cryptensor::protocol::replicated {

using additive::Exchange;

// This party's part of the product. Two local products at most; what does not need the message is
// done while it is under way.
at::Tensor ReplicatedEngine::product_of(const ring::BilinearMap& map, Exchange& exchange,
                                        Replication& left, Replication& right) const {
  const auto times = [&map](const at::Tensor& a, const at::Tensor& b) {
    return a.defined() && b.defined() ? map(a, b) : at::Tensor();
  };
  const bool opens = !left.cached || !right.cached;
  if (opens) exchange.send();
  at::Tensor early, late;
  const bool by_right = right.cached && right.next().defined();
  const bool by_left = left.cached && left.next().defined();
  const bool overlaps = opens && (by_left || by_right);
  if (overlaps) {
    early = by_right ? times(left.own(), sum_of(right.own(), right.next()))
                     : times(sum_of(left.own(), left.next()), right.own());
  }
  if (opens) exchange.receive();
  complete(exchange, left);
  complete(exchange, right);
  if (overlaps) {
    late = by_right ? times(left.next(), right.own()) : times(left.own(), right.next());
  } else if (!right.next().defined()) {
    early = times(sum_of(left.own(), left.next()), right.own());
  } else {
    early = times(left.own(), sum_of(right.own(), right.next()));
    late = times(left.next(), right.own());
  }
  if (early.defined() && late.defined()) return early.add_(late);
  if (early.defined() || late.defined()) return early.defined() ? early : late;
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
  // x_i (x_i + 2 x_(i+1)); what is shared has no share that is known to be zero.
  const at::Tensor own = x.own();
  return Secret(at::mul(own, at::add(own, x.next(), /*alpha=*/2)), 2 * a.fraction_bits(), kShared);
}

}  // namespace cryptensor::protocol::replicated
