// SPDX-License-Identifier: MIT
// What parties 0 and 1 do between themselves, party 2 dealing: all but products.
#include <ATen/ops/add.h>
#include <ATen/ops/sub.h>

#include "protocol/replicated/replication.h"

namespace cryptensor::protocol::replicated {
namespace {

using additive::only;

Secret of_pair(const Secret& s) { return Secret(s.share(), s.fraction_bits(), kPair); }

std::vector<Secret> of_pair(const std::vector<Secret>& values) {
  std::vector<Secret> out;
  for (const Secret& s : values) out.push_back(of_pair(s));
  return out;
}

}  // namespace

// Party 2 hands its share to party 0, hidden behind what it draws with party 1.
std::vector<Secret> ReplicatedEngine::paired(const std::vector<Secret>& values) {
  additive::Exchange exchange(links_, net::Operation::open_mask);
  std::vector<at::Tensor> parts;
  std::vector<std::pair<size_t, size_t>> arriving;  // position, item
  const int me = rank();
  for (const Secret& x : values) {
    const auto& replica = x.store()->replica;
    if (x.owner() == kPair) {
      parts.push_back(x.share());
    } else if (replica) {
      const at::Tensor next = x.view_into(replica->next);
      parts.push_back(me == 0 ? at::add(x.view_into(replica->own), next) : next);
    } else {
      at::Tensor part = x.share();
      const uint64_t stream = draws_++;
      if (me == kThird) part = at::add(part, draw(1, stream, x.sizes())).contiguous();
      if (me == 1) part = at::sub(part, draw(kThird, stream, x.sizes()));
      arriving.emplace_back(parts.size(), exchange.add(part, x.sizes(), only(kThird), only(0)));
      parts.push_back(part);
    }
  }
  if (!arriving.empty()) exchange.run();
  std::vector<Secret> out;
  for (const auto& [position, item] : arriving) {
    if (me == 0) parts[position] = at::add(parts[position], exchange.result(item));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    out.emplace_back(parts[i], values[i].fraction_bits(), kShared);
  }
  return out;
}

std::vector<Secret> ReplicatedEngine::shared_truncate(const std::vector<Cut>& cuts,
                                                      Truncation kind) {
  std::vector<Secret> values, out;
  for (const Cut& cut : cuts) values.push_back(cut.value);
  values = paired(values);
  if (pair_) {
    std::vector<Cut> of_two;
    for (size_t i = 0; i < cuts.size(); ++i) of_two.push_back({values[i], cuts[i].bits});
    return of_pair(pair_->shared_truncate(of_two, kind));
  }
  for (const auto& [a, bits] : cuts) out.push_back(nothing(a.sizes(), a.fraction_bits() - bits));
  return out;
}

Secret ReplicatedEngine::shared_relu(const Secret& a, int shift, std::optional<Secret>* sign,
                                     std::optional<int> bits_known) {
  const Secret x = paired(a);
  if (!pair_) {
    if (sign != nullptr) *sign = nothing(a.sizes(), 0);
    return nothing(a.sizes(), a.fraction_bits() - shift);
  }
  const Secret out = of_pair(pair_->shared_relu(x, shift, sign, bits_known));
  if (sign != nullptr) *sign = of_pair(**sign);
  return out;
}

Secret ReplicatedEngine::shared_at_least_zero(const Secret& a) {
  const Secret x = paired(a);
  return pair_ ? of_pair(pair_->shared_at_least_zero(x)) : nothing(a.sizes(), 0);
}

std::vector<Secret> ReplicatedEngine::shared_piecewise(const Secret& a, const Piecewise& form) {
  const Secret x = paired(a);
  if (pair_) return of_pair(pair_->shared_piecewise(x, form));
  std::vector<Secret> out;
  for (const auto& output : form.outputs) out.push_back(nothing(a.sizes(), output.fraction_bits));
  return out;
}

std::vector<Secret> ReplicatedEngine::shared_series(const Secret& a, const Series& form) {
  const Secret x = paired(a);
  if (pair_) return of_pair(pair_->shared_series(x, form));
  std::vector<Secret> out;
  for (const auto& output : form.outputs) out.push_back(nothing(a.sizes(), output.fraction_bits));
  return out;
}

std::pair<Secret, Secret> ReplicatedEngine::shared_power_of_two(const Secret& a,
                                                                const PowerOfTwo& form) {
  const Secret x = paired(a);
  if (!pair_) return {nothing(a.sizes(), form.low_bits), nothing(a.sizes(), form.high_bits)};
  const auto [low, high] = pair_->shared_power_of_two(x, form);
  return {of_pair(low), of_pair(high)};
}

Secret ReplicatedEngine::shared_is_zero(const Secret& a) {
  const Secret x = paired(a);
  return pair_ ? of_pair(pair_->shared_is_zero(x)) : nothing(a.sizes(), 0);
}

Secret ReplicatedEngine::shared_one_hot(const Secret& index, int64_t size) {
  const Secret x = paired(index);
  if (pair_) return of_pair(pair_->shared_one_hot(x, size));
  std::vector<int64_t> sizes = index.sizes().vec();
  sizes.push_back(size);
  return nothing(sizes, 0);
}

Choice ReplicatedEngine::shared_choose(const Secret& index, const Secret& candidates,
                                       int64_t target) {
  const auto both = paired({index, candidates});
  if (!pair_) {
    return {nothing(index.sizes(), 0), nothing(index.sizes(), candidates.fraction_bits())};
  }
  const Choice out = pair_->shared_choose(both[0], both[1], target);
  return {of_pair(out.chosen), of_pair(out.value)};
}

Tournament ReplicatedEngine::shared_tournament(const Secret& a) {
  const Secret x = paired(a);
  if (pair_) {
    const Tournament out = pair_->shared_tournament(x);
    return {of_pair(out.largest), of_pair(out.wins)};
  }
  const auto sizes = a.sizes().slice(1);
  return {nothing(sizes, a.fraction_bits()),
          {nothing(sizes, 0), nothing(sizes, 0), nothing(sizes, 0)}};
}

}  // namespace cryptensor::protocol::replicated
