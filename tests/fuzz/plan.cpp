// SPDX-License-Identifier: MIT
// Input: a plan, as a store's file holds it.
#include "correlation/plan.h"

#include <algorithm>
#include <optional>

#include "core/errors.h"
#include "fuzz/targets.h"

namespace cryptensor::fuzz {

void plan(Input input) {
  std::optional<correlation::Plan> found;
  try {
    found.emplace(correlation::Plan::parse(input));
  } catch (const StoreError&) {
    return;
  }
  const auto bytes = found->serialize();
  require(std::equal(bytes.begin(), bytes.end(), input.begin(), input.end()),
          "another plan than was given is accepted");
  const uint64_t size = found->lot_size(found->has_steps() ? 3 : 0);
  for (uint64_t serial = 0; serial < size; ++serial) {
    const auto descriptor = found->at(serial);
    require(found->is_at(serial, descriptor, descriptor.digest()), "a plan departs from itself");
    require(found->offset(serial) + descriptor.correction_bytes() <= found->offset(serial + 1),
            "corrections overlap");
    correlation::describe(descriptor);
    correlation::multiplications(descriptor);
  }
}

}  // namespace cryptensor::fuzz
