// SPDX-License-Identifier: MIT
#include "crypto/digest.h"

#include <openssl/sha.h>

namespace cryptensor::crypto {

static_assert(sizeof(Digest) == SHA256_DIGEST_LENGTH);

Digest sha256(const void* data, size_t n) {
  Digest hash;
  SHA256(static_cast<const uint8_t*>(data), n, hash.data());
  return hash;
}

uint64_t digest64(const void* data, size_t n) {
  const Digest hash = sha256(data, n);
  uint64_t out = 0;
  for (int i = 0; i < 8; ++i) out |= static_cast<uint64_t>(hash[i]) << (8 * i);
  return out;
}

}  // namespace cryptensor::crypto
