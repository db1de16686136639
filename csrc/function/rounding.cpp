// SPDX-License-Identifier: MIT
#include "function/rounding.h"

#include <ATen/ops/cat.h>

namespace cryptensor::function {
namespace {

using protocol::Engine;
using protocol::Secret;
using protocol::Truncation;

// What centres the error of a truncation, in halves of a unit: one_bit and interactive round up as
// often as they should.
int64_t halves(Truncation kind) {
  return kind == Truncation::one_bit || kind == Truncation::interactive ? 0 : 1;
}

}  // namespace

Secret rounded(Engine& engine, const Secret& x, int bits) {
  if (bits == 0) return x;
  // What a party knows is truncated in the clear, downwards.
  const int64_t centre = x.owner() == protocol::kShared ? halves(engine.truncation()) : 1;
  const int64_t offset = centre * (int64_t{1} << (bits - 1));
  return engine.truncate(engine.add(x, engine.public_units(offset, x.fraction_bits())), bits, {});
}

Secret with_room(Engine& engine, const Secret& x) {
  constexpr int kMostBits = 34;  // of 54 to 64 that the product with the factor may have
  return x.fraction_bits() > kMostBits ? engine.settle(x) : x;
}

std::vector<Secret> rounded_together(Engine& engine, const std::vector<Secret>& values, int bits) {
  if (values.size() == 1) return {rounded(engine, values[0], bits)};
  std::vector<at::Tensor> shares;
  const auto aligned = engine.aligned(values);
  for (const Secret& v : aligned) shares.push_back(v.share().reshape({-1}));
  const Secret all = rounded(engine, engine.combined(aligned, at::cat(shares)), bits);
  std::vector<Secret> out;
  int64_t from = 0;
  for (const Secret& v : values) {
    // A copy: results of one run are values of their own.
    const at::Tensor part = all.share().narrow(0, from, v.numel()).reshape(v.sizes()).clone();
    out.emplace_back(part, all.fraction_bits(), all.owner());
    from += v.numel();
  }
  return out;
}

}  // namespace cryptensor::function
