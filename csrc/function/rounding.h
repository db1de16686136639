// SPDX-License-Identifier: MIT
// Truncations that err to both sides: at most one unit of the last place, none on average.
#pragma once

#include <vector>

#include "protocol/engine.h"

namespace cryptensor::function {

// x / 2^bits. 1 round.
protocol::Secret rounded(protocol::Engine& engine, const protocol::Secret& x, int bits);

// Several values, each by its own number of bits, in one round.
std::vector<protocol::Secret> rounded(protocol::Engine& engine,
                                      const std::vector<protocol::Cut>& cuts);

// x, settled where it has so many fraction bits that a public factor would have too few.
protocol::Secret with_room(protocol::Engine& engine, const protocol::Secret& x);

}  // namespace cryptensor::function
