// SPDX-License-Identifier: MIT
// Values in and out: inputs that stay with their owner, shares, and the only opening to the clear.
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "core/errors.h"
#include "fixedpoint/fixedpoint.h"
#include "protocol/additive/announcement.h"
#include "protocol/additive/engine.h"
#include "ring/words.h"

namespace cryptensor::protocol::additive {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

}  // namespace

std::vector<Secret> AdditiveEngine::input(const std::vector<Input>& inputs, int src) {
  OperationScope scope(statistics_, "input");
  return enter(links_, inputs, src, precision(),
               [this](const Input& in) { return encoded_input(in); });
}

// Shares of zero from the pairwise seeds: what party i adds for the pair (i, j), party j takes
// away.
at::Tensor AdditiveEngine::zero_share(at::IntArrayRef sizes) {
  at::Tensor out = at::zeros(sizes, at::kLong);
  at::Tensor draw = at::empty(sizes, at::kLong);
  const uint64_t stream = zero_shares_++;
  for (int p = 0; p < parties(); ++p) {
    if (p == rank()) continue;
    pair_prgs_[p]->fill(stream, 0, draw.data_ptr(), 8 * draw.numel());
    rank() < p ? ring::add_to(words(out), words(draw), draw.numel())
               : ring::subtract_from(words(out), words(draw), draw.numel());
  }
  return out;
}

Secret AdditiveEngine::share(const Secret& x) {
  return Secret(at::add(contribution(x, kShared), zero_share(x.sizes())), x.fraction_bits(),
                kShared);
}

at::Tensor AdditiveEngine::opened(const Secret& a_in, std::optional<int> dst) {
  const Secret a = settle(a_in);
  OperationScope scope(statistics_, "reveal");
  const bool learns = !dst || *dst == rank();
  if (a.is_public() || (dst && a.owner() == *dst)) {
    return learns ? fixedpoint::decode(a.share(), a.fraction_bits()) : at::Tensor();
  }
  // Shares are made fresh before they are sent: a share of an owned value is the value, and a share
  // of a sum says more than the sum.
  const PartySet senders = a.is_owned() ? only(a.owner()) : everyone(parties());
  at::Tensor part;
  if (contains(senders, rank())) {
    part = a.is_owned() ? a.share().contiguous()
                        : at::add(a.share(), zero_share(a.sizes())).contiguous();
  }
  Exchange exchange(links_, net::Operation::reveal);
  const size_t item =
      exchange.add(part, a.sizes(), senders, dst ? only(*dst) : everyone(parties()));
  exchange.run();
  return learns ? fixedpoint::decode(exchange.result(item), a.fraction_bits()) : at::Tensor();
}

}  // namespace cryptensor::protocol::additive
