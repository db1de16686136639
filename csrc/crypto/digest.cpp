// SPDX-License-Identifier: MIT
#include "crypto/digest.h"

#include <openssl/sha.h>

#include <array>

namespace cryptensor::crypto {

uint64_t digest64(const void* data, size_t n) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash;
  SHA256(static_cast<const uint8_t*>(data), n, hash.data());
  uint64_t out = 0;
  for (int i = 0; i < 8; ++i) out |= static_cast<uint64_t>(hash[i]) << (8 * i);
  return out;
}

}  // namespace cryptensor::crypto
