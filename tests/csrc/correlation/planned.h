// SPDX-License-Identifier: MIT
// What a small served model takes: in its first step a weight's mask, in every step a mask, a
// product and a comparison.
#pragma once

#include "correlation/plan.h"
#include "correlation/provider.h"
#include "examples.h"

namespace cryptensor::correlation::planned {

inline constexpr PlanSettings kSettings{};
inline constexpr uint64_t kFirst = 4, kStep = 3;

// Takes what step `step` takes; `weight` is set by the first.
template <class TakeMask, class Take>
void step(int number, int64_t rows, MaskName& weight, const TakeMask& take_mask, const Take& take) {
  if (number == 0) weight = take_mask(24, 1, true);
  const MaskName x = take_mask(6 * rows, 2, false);
  take(Descriptor::make_comparison(4 * rows, Comparison::relu_truncate, 16));
  take(Descriptor::make_bilinear(examples::matmul(), examples::whole(x, {rows, 6}),
                                 examples::whole(weight, {6, 4})));
}

// 0 steps: the first step's correlations as a program without steps.
inline Recording served(int steps, int64_t rows = 3) {
  Recording out;
  MaskName weight;
  const auto take_mask = [&](uint64_t numel, uint32_t holders, bool long_lived) {
    out.taken.push_back(Descriptor::make_mask(numel, holders));
    return examples::mask_name(out.taken.size() - 1, numel, holders, long_lived);
  };
  const auto take = [&](const Descriptor& d) { out.taken.push_back(d); };
  for (int i = 0; i < std::max(steps, 1); ++i) {
    const uint64_t begin = out.taken.size();
    step(i, rows, weight, take_mask, take);
    if (steps > 0) out.steps.emplace_back(begin, out.taken.size());
  }
  return out;
}

}  // namespace cryptensor::correlation::planned
