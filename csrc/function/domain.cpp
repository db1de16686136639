// SPDX-License-Identifier: MIT
#include "function/domain.h"

#include "core/errors.h"

namespace cryptensor::function {

void check_domain(protocol::Engine& engine, const protocol::Secret& violations,
                  const char* message) {
  if (!engine.checked()) return;
  const protocol::OperationScope scope(engine.statistics(), "check");
  const auto none = engine.is_zero(engine.sum(violations, {}, false));
  const bool some = engine.reveal(none, std::nullopt).item<double>() < 0.5;
  if (some && !engine.rehearses()) throw RangeError(message);
}

}  // namespace cryptensor::function
