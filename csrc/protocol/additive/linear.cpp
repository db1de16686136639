// SPDX-License-Identifier: MIT
// Products. Beaver (CRYPTO 1991) with masks that belong to values, as in tf-encrypted's masked
// tensors (Dahl et al. 2018), and a one-way protocol where one party knows its operand.
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/sub.h>

#include <cstring>

#include "correlation/dealer.h"
#include "protocol/additive/masking.h"

namespace cryptensor::protocol::additive {
// This party's share of map(left mask, right mask).
at::Tensor AdditiveEngine::dealt_product(const ring::BilinearMap& map, const Masking& left,
                                         const Masking& right) {
  const auto descriptor = correlation::Descriptor::make_bilinear(map, left.view(), right.view());
  const auto dealt = provider_->take(descriptor);
  at::Tensor out = at::empty(descriptor.output_sizes(), at::kLong);
  if (dealt.corrections) {
    // Without elements the tensor has no memory.
    if (out.numel() > 0) std::memcpy(out.data_ptr(), dealt.corrections.get(), 8 * out.numel());
  } else {
    dealt.prg.fill(correlation::kProductStream, 0, out.data_ptr(), 8 * out.numel());
  }
  return out;
}

// With A = a + r and B = b + s opened: ab = AB - A s - r B + rs. Two local products a party.
Secret AdditiveEngine::beaver_product(const ring::BilinearMap& map, const Secret& a,
                                      const Secret& b) {
  Exchange exchange(links_, frame_operation(map.kind));
  const PartySet all = everyone(parties());
  Masking left = prepare(exchange, a, all, all);
  const bool same = a.store() == b.store() && left.whole;
  Masking right = same ? left : prepare(exchange, b, all, all);
  if (!left.cached || !right.cached) exchange.run();
  complete(exchange, left);
  if (same) {
    right.opening = left.opening;
    right.x = b;
  } else {
    complete(exchange, right);
  }
  const at::Tensor opened_right = right.masked(), s = right.mask_share();
  at::Tensor out = dealt_product(map, left, right);
  out.add_(map(left.masked(), adds_constants() ? at::sub(opened_right, s) : at::neg(s)));
  out.sub_(map(left.mask_share(), opened_right));
  return Secret(out, a.fraction_bits() + b.fraction_bits(), kShared);
}

// `w` is known to its owner p, who opens w + s to the others once. The others send x_j + r_j to p:
// p takes (x_p + sum_j (x_j + r_j)) w, party j takes -r_j (w + s), the dealer adds shares of r s.
Secret AdditiveEngine::owned_product(const ring::BilinearMap& map, const Secret& a, const Secret& b,
                                     bool left_is_owner) {
  const Secret& w = left_is_owner ? a : b;
  const Secret& x = left_is_owner ? b : a;
  const int owner = w.owner();
  const PartySet others = everyone(parties()) & ~only(owner);
  const PartySet senders = x.is_owned() ? only(x.owner()) : others;
  const auto apply = [&](const at::Tensor& of_w, const at::Tensor& of_x) {
    return left_is_owner ? map(of_w, of_x) : map(of_x, of_w);
  };
  Exchange exchange(links_, frame_operation(map.kind));
  Masking known = prepare(exchange, w, only(owner), others);
  // Of x all but the owner's part: several weights of one owner take the same message.
  Masking sent = prepare(exchange, x, senders, only(owner));
  const bool opens = !known.cached || !sent.cached;
  if (opens) exchange.send();
  // While the message is under way. The others' product, of r, overlaps the owner's of what they
  // sent: one product is between a message and the next one.
  at::Tensor out =
      left_is_owner ? dealt_product(map, known, sent) : dealt_product(map, sent, known);
  if (opens) exchange.receive();
  complete(exchange, known);
  complete(exchange, sent);
  if (rank() == owner) {
    const at::Tensor received = sent.masked();
    out.add_(apply(w.share(), x.is_owned() ? received : at::add(received, x.share())));
  } else if (contains(senders, rank())) {
    out.sub_(apply(known.masked(), sent.mask_share()));
  }
  return Secret(out, a.fraction_bits() + b.fraction_bits(), kShared);
}

// Has every party received x under the mask of all?
bool AdditiveEngine::is_open(const Secret& x) const {
  const auto& opening = x.store()->opening;
  const PartySet all = everyone(parties());
  return opening && opening->mask.holders == all && opening->receivers == all &&
         provider_->is_current(opening->mask);
}

Secret AdditiveEngine::shared_product(const ring::BilinearMap& map, const Secret& a,
                                      const Secret& b) {
  OperationScope scope(statistics_, operation_name(map.kind));
  // Two local products a party are nothing against a round where each is a pass over the elements.
  const bool open_to_all = is_open(a) || is_open(b);
  if (map.kind == ring::Bilinear::multiply && open_to_all) return beaver_product(map, a, b);
  if (b.is_owned() && (b.store()->reused || !a.is_owned() || !a.store()->reused)) {
    return owned_product(map, a, b, /*left_is_owner=*/false);
  }
  if (a.is_owned()) return owned_product(map, a, b, /*left_is_owner=*/true);
  return beaver_product(map, a, b);
}

// A^2 - 2 A r + r^2, with the dealer's r^2: one opening.
Secret AdditiveEngine::shared_square(const Secret& a) {
  OperationScope scope(statistics_, "square");
  Exchange exchange(links_, net::Operation::multiply);
  Masking opened = prepare(exchange, a, everyone(parties()), everyone(parties()));
  if (!opened.cached) exchange.run();
  complete(exchange, opened);
  const ring::BilinearMap map{ring::Bilinear::multiply, {}};
  at::Tensor out = dealt_product(map, opened, opened);
  const at::Tensor masked = opened.masked();
  at::Tensor factor = at::mul(opened.mask_share(), -2);
  if (adds_constants()) factor = at::add(factor, masked);
  out.add_(at::mul(masked, factor));
  return Secret(out, 2 * a.fraction_bits(), kShared);
}

}  // namespace cryptensor::protocol::additive
