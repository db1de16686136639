// SPDX-License-Identifier: MIT
#include "protocol/plaintext/engine.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/max.h>
#include <ATen/ops/mul.h>
#include <fmt/format.h>

#include "core/errors.h"
#include "fixedpoint/fixedpoint.h"
#include "protocol/public_forms.h"

namespace cryptensor::protocol::plaintext {

PlaintextEngine::PlaintextEngine(EngineConfig config) : Engine(config) {
  fixedpoint::check_precision(config.precision);
}

std::vector<Secret> PlaintextEngine::input(const std::vector<Input>& inputs, int) {
  std::vector<Secret> out;
  for (const Input& in : inputs) {
    out.emplace_back(encoded_input(in), in.integers ? 0 : precision(), kShared);
  }
  return out;
}

at::Tensor PlaintextEngine::opened(const Secret& a, std::optional<int>) {
  const Secret x = settle(a);
  return fixedpoint::decode(x.share(), x.fraction_bits());
}

Secret PlaintextEngine::shared_product(const ring::BilinearMap& map, const Secret& a,
                                       const Secret& b) {
  return Secret(map(a.share(), b.share()), a.fraction_bits() + b.fraction_bits(), kShared);
}

Secret PlaintextEngine::shared_square(const Secret& a) {
  return Secret(at::mul(a.share(), a.share()), 2 * a.fraction_bits(), kShared);
}

std::vector<Secret> PlaintextEngine::shared_truncate(const std::vector<Cut>& cuts, Truncation) {
  std::vector<Secret> out;
  for (const auto& [a, bits] : cuts) {
    out.emplace_back(at::bitwise_right_shift(a.share(), int64_t{bits}), a.fraction_bits() - bits,
                     kShared);
  }
  return out;
}

Secret PlaintextEngine::shared_relu(const Secret& a, int shift, std::optional<Secret>* sign,
                                    std::optional<int>) {
  if (sign != nullptr) *sign = shared_at_least_zero(a);
  const at::Tensor low = at::bitwise_right_shift(a.share(), int64_t{shift});
  return Secret(at::clamp_min(low, 0), a.fraction_bits() - shift, kShared);
}

Secret PlaintextEngine::shared_at_least_zero(const Secret& a) {
  return Secret(at::ge(a.share(), 0).to(at::kLong), 0, kShared);
}

std::vector<Secret> PlaintextEngine::shared_piecewise(const Secret& a, const Piecewise& form) {
  std::vector<Secret> out;
  const auto values = evaluate(form, a.share());
  for (size_t o = 0; o < values.size(); ++o) {
    out.emplace_back(values[o], form.outputs[o].fraction_bits, kShared);
  }
  return out;
}

std::vector<Secret> PlaintextEngine::shared_series(const Secret& a, const Series& form) {
  std::vector<Secret> out;
  const auto values = evaluate(form, a.share());
  for (size_t o = 0; o < values.size(); ++o) {
    out.emplace_back(values[o], form.outputs[o].fraction_bits, kShared);
  }
  return out;
}

std::pair<Secret, Secret> PlaintextEngine::shared_power_of_two(const Secret& a,
                                                               const PowerOfTwo& form) {
  const auto [low, high] = evaluate(form, a.share());
  return {Secret(low, form.low_bits, kShared), Secret(high, form.high_bits, kShared)};
}

Secret PlaintextEngine::shared_is_zero(const Secret& a) {
  return Secret(at::eq(a.share(), 0).to(at::kLong), 0, kShared);
}

Secret PlaintextEngine::shared_one_hot(const Secret& index, int64_t size) {
  const at::Tensor places = at::arange(size, at::kLong);
  return Secret(at::eq(index.share().unsqueeze(-1), places).to(at::kLong), 0, kShared);
}

Choice PlaintextEngine::shared_choose(const Secret& index, const Secret& candidates,
                                      int64_t target) {
  const at::Tensor chosen = at::eq(index.share(), target).to(at::kLong);
  return {Secret(chosen, 0, kShared),
          Secret(at::mul(chosen, candidates.share()), candidates.fraction_bits(), kShared)};
}

Tournament PlaintextEngine::shared_tournament(const Secret& a) {
  const auto [largest, place] = a.share().max(0);
  Tournament out{Secret(largest, a.fraction_bits(), kShared), {}};
  for (int i = 0; i < 3; ++i) {
    out.wins.emplace_back(at::eq(place, i).to(at::kLong), 0, kShared);
  }
  return out;
}

}  // namespace cryptensor::protocol::plaintext
