// SPDX-License-Identifier: MIT
// The checked mode: a value outside a function's domain raises on every party.
#pragma once

#include "protocol/engine.h"

namespace cryptensor::function {

// Opens whether any of the bits is 1, and nothing else; RangeError with the message if so. Does
// nothing unless the engine is in checked mode. 4 rounds.
void check_domain(protocol::Engine& engine, const protocol::Secret& violations,
                  const char* message);

}  // namespace cryptensor::function
