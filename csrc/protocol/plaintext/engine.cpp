// SPDX-License-Identifier: MIT
#include "protocol/plaintext/engine.h"

#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/mul.h>
#include <fmt/format.h>

#include "core/errors.h"
#include "fixedpoint/fixedpoint.h"

namespace cryptensor::protocol::plaintext {

PlaintextEngine::PlaintextEngine(EngineConfig config) : Engine(config) {
  fixedpoint::check_precision(config.precision);
}

std::vector<Secret> PlaintextEngine::input(const std::vector<Input>& inputs, int) {
  std::vector<Secret> out;
  for (const Input& in : inputs) {
    out.emplace_back(fixedpoint::encode(in.values, precision()), precision(), kShared);
  }
  return out;
}

at::Tensor PlaintextEngine::reveal(const Secret& a, std::optional<int>) {
  ++statistics_.reveals;
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

Secret PlaintextEngine::shared_truncate(const Secret& a, int bits, Truncation) {
  return Secret(at::bitwise_right_shift(a.share(), int64_t{bits}), a.fraction_bits() - bits,
                kShared);
}

Secret PlaintextEngine::shared_relu(const Secret& a, int shift, std::optional<Secret>* sign) {
  if (sign != nullptr) *sign = shared_at_least_zero(a);
  const at::Tensor low = at::bitwise_right_shift(a.share(), int64_t{shift});
  return Secret(at::clamp_min(low, 0), a.fraction_bits() - shift, kShared);
}

Secret PlaintextEngine::shared_at_least_zero(const Secret& a) {
  return Secret(at::ge(a.share(), 0).to(at::kLong), 0, kShared);
}

}  // namespace cryptensor::protocol::plaintext
