// SPDX-License-Identifier: MIT
#include "protocol/replicated/replication.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros.h>

#include "ring/words.h"

namespace cryptensor::protocol::replicated {
namespace {

using additive::Exchange;
using additive::only;
using additive::PartySet;

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

// Whose share goes to the party before: the others' follow from what is drawn in common.
bool sends_share(int party, int owner) {
  return owner == kShared || (owner == kPair && party != kThird) || owner == party;
}

}  // namespace

at::Tensor ReplicatedEngine::draw(int peer, uint64_t stream, at::IntArrayRef sizes) const {
  at::Tensor out = at::empty(sizes, at::kLong);
  prgs_[peer]->fill(stream, 0, out.data_ptr(), 8 * out.numel());
  return out;
}

at::Tensor ReplicatedEngine::zero_share(at::IntArrayRef sizes, PartySet among) {
  at::Tensor out = at::zeros(sizes, at::kLong);
  const uint64_t stream = draws_++;
  for (int p = 0; p < kParties; ++p) {
    const bool draws = additive::contains(among, p) && additive::contains(among, rank());
    if (p == rank() || !draws) continue;
    const at::Tensor common = draw(p, stream, sizes);
    rank() < p ? ring::add_to(words(out), words(common), out.numel())
               : ring::subtract_from(words(out), words(common), out.numel());
  }
  return out;
}

// This party's share, such that the party before it may have it as well, and the next one where
// that is drawn in common and needs no message.
Replica ReplicatedEngine::fresh_shares(const at::Tensor& value, int owner) {
  const int me = rank();
  const auto sizes = value.sizes();
  if (owner == kShared) {
    return {at::add(value, zero_share(sizes, additive::everyone(kParties))), {}};
  }
  const uint64_t stream = draws_++;
  if (owner >= 0) {
    // Share `owner` hides behind the next one, and the third is zero.
    if (me == before(owner)) return {};
    const at::Tensor common = draw(me == owner ? after(owner) : owner, stream, sizes);
    if (me != owner) return {common, {}};
    return {at::sub(value, common), common};
  }
  // Of the pair: party 0 may see share 1 and party 2 share 0, so that each hides behind another.
  if (me == kThird) return {at::neg(draw(1, stream, sizes)), {}};
  if (me == 0) return {at::add(value, draw(1, stream, sizes)), {}};
  const at::Tensor common = draw(kThird, stream, sizes);
  return {at::sub(value, draw(0, stream, sizes)).add_(common), at::neg(common)};
}

ReplicatedEngine::Replication ReplicatedEngine::prepare(Exchange& exchange, const Secret& x) {
  Replication out(x);
  const Store& store = *x.store();
  out.whole = store.reused || x.numel() >= store.base.numel();
  if (out.whole && store.replica) {
    out.cached = true;
    out.replica = *store.replica;
    return out;
  }
  const at::Tensor value = out.whole ? store.base : x.share().contiguous();
  out.replica = fresh_shares(value, x.owner());
  for (int p = 0; p < kParties; ++p) {
    if (!sends_share(p, x.owner())) continue;
    const at::Tensor part = p == rank() ? out.replica.own : at::Tensor();
    const size_t item = exchange.add(part, value.sizes(), only(p), only(before(p)));
    if (rank() == before(p)) out.arriving = item;
  }
  return out;
}

void ReplicatedEngine::complete(const Exchange& exchange, Replication& replication) const {
  if (replication.cached) return;
  if (replication.arriving) replication.replica.next = exchange.result(*replication.arriving);
  if (replication.whole) replication.x.store()->replica = replication.replica;
}

}  // namespace cryptensor::protocol::replicated
