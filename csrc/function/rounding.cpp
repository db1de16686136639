// SPDX-License-Identifier: MIT
#include "function/rounding.h"

namespace cryptensor::function {
namespace {

using protocol::Cut;
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
  return rounded(engine, {{x, bits}})[0];
}

std::vector<Secret> rounded(Engine& engine, const std::vector<Cut>& cuts) {
  std::vector<Secret> out;
  std::vector<Cut> centred;
  for (const auto& [x, bits] : cuts) {
    out.push_back(x);
    if (bits == 0) continue;
    // What a party knows is truncated in the clear, downwards.
    const int64_t centre = x.is_shared() ? halves(engine.truncation()) : 1;
    const int64_t offset = centre * (int64_t{1} << (bits - 1));
    centred.push_back({engine.add(x, engine.public_units(offset, x.fraction_bits())), bits});
  }
  const auto results = engine.truncate_together(centred);
  auto next = results.begin();
  for (size_t i = 0; i < cuts.size(); ++i) {
    if (cuts[i].bits != 0) out[i] = *next++;
  }
  return out;
}

Secret with_room(Engine& engine, const Secret& x) {
  constexpr int kMostBits = 34;  // of 54 to 64 that the product with the factor may have
  return x.fraction_bits() > kMostBits ? engine.settle(x) : x;
}

}  // namespace cryptensor::function
