// SPDX-License-Identifier: MIT
// How much memory a dealer needs for a correlation, told from its descriptor before any is taken.
#pragma once

#include <cstdint>

#include "correlation/descriptor.h"

namespace cryptensor::correlation {

// At most so many bytes while it is dealt, its corrections included. Never more than 2^63.
uint64_t dealing_bytes(const Descriptor& descriptor);

}  // namespace cryptensor::correlation
