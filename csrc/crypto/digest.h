// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace cryptensor::crypto {

// The first eight bytes of SHA-256, little-endian.
uint64_t digest64(const void* data, size_t n);

using Digest = std::array<uint8_t, 32>;
Digest sha256(const void* data, size_t n);

}  // namespace cryptensor::crypto
