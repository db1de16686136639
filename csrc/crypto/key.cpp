// SPDX-License-Identifier: MIT
#include "crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "core/errors.h"

namespace cryptensor::crypto {
namespace {

constexpr size_t kMaxHkdfBytes = 255 * 32;  // RFC 5869, section 2.3: 255 blocks of SHA-256

// Takes the whole error queue, so that none of it is blamed on a later call.
std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "no reason given" : reason;
}

// Looking the algorithm up takes longer than using it. Kept for the life of the process.
EVP_KDF* hkdf_algorithm() {
  static EVP_KDF* const algorithm = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  if (algorithm == nullptr) throw Error("OpenSSL offers no HKDF: " + openssl_reason());
  return algorithm;
}

OSSL_PARAM octets(const char* parameter, std::span<const uint8_t> bytes) {
  // OpenSSL only reads them; its parameter type has no const.
  return OSSL_PARAM_construct_octet_string(parameter, const_cast<uint8_t*>(bytes.data()),
                                           bytes.size());
}

// Writes to the caller's memory, so that derived keys leave no copy behind.
void hkdf(std::span<const uint8_t> ikm, std::span<const uint8_t> salt,
          std::span<const uint8_t> info, std::span<uint8_t> output) {
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(
      EVP_KDF_CTX_new(hkdf_algorithm()), EVP_KDF_CTX_free);
  char digest[] = "SHA256";
  std::array<OSSL_PARAM, 5> parameters;
  size_t used = 0;
  parameters[used++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
  parameters[used++] = octets(OSSL_KDF_PARAM_KEY, ikm);
  // OpenSSL takes an absent salt or info for an empty one, and refuses a null pointer.
  if (!salt.empty()) parameters[used++] = octets(OSSL_KDF_PARAM_SALT, salt);
  if (!info.empty()) parameters[used++] = octets(OSSL_KDF_PARAM_INFO, info);
  parameters[used] = OSSL_PARAM_construct_end();
  if (context == nullptr ||
      EVP_KDF_derive(context.get(), output.data(), output.size(), parameters.data()) != 1) {
    throw Error("HKDF-SHA256 failed in OpenSSL: " + openssl_reason());
  }
}

void append_little_endian(std::vector<uint8_t>& bytes, uint64_t value) {
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

#ifdef CRYPTENSOR_MUTANTS
struct SeededThread {
  Key key;
  uint64_t calls = 0;
};
thread_local std::optional<SeededThread> seeded;

void seeded_bytes(uint8_t* out, size_t n) {
  const uint64_t call = seeded->calls++;
  for (size_t part = 0; n > 0; ++part) {
    const Key block = derive(seeded->key, "seeded", call, part);
    const size_t size = std::min(n, block.bytes.size());
    std::memcpy(out, block.bytes.data(), size);
    out += size;
    n -= size;
  }
}
#endif

}  // namespace

Key::~Key() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

Key random_key() {
  Key key;
  random_bytes(key.bytes.data(), key.bytes.size());
  return key;
}

void random_bytes(void* destination, size_t n) {
  auto* out = static_cast<uint8_t*>(destination);
#ifdef CRYPTENSOR_MUTANTS
  if (seeded) return seeded_bytes(out, n);
#endif
  while (n > 0) {
    const size_t part = std::min<size_t>(n, std::numeric_limits<int>::max());
    // The private generator: its state is never shown by random values that become public.
    if (RAND_priv_bytes(out, static_cast<int>(part)) != 1) {
      throw EntropyError("the operating system gave no randomness to OpenSSL: " + openssl_reason());
    }
    out += part;
    n -= part;
  }
}

void seed_thread(const std::optional<std::array<uint8_t, 16>>& seed) {
#ifdef CRYPTENSOR_MUTANTS
  seeded.reset();
  if (seed) seeded.emplace().key.bytes = *seed;
#else
  if (!seed) return;
  throw ConfigError(
      "seed: this build draws true randomness only; repeatable sessions need the module of the "
      "build target `mutants`, which is for tests");
#endif
}

Key derive(const Key& parent, std::string_view label, uint64_t a, uint64_t b) {
  // The two numbers have a fixed length at the end, so no two inputs give the same info.
  std::vector<uint8_t> info(label.begin(), label.end());
  append_little_endian(info, a);
  append_little_endian(info, b);
  Key key;
  hkdf(parent.bytes, {}, info, key.bytes);
  return key;
}

std::vector<uint8_t> hkdf_sha256(std::span<const uint8_t> ikm, std::span<const uint8_t> salt,
                                 std::span<const uint8_t> info, size_t length) {
  if (ikm.empty()) throw RangeError("hkdf_sha256: ikm is empty");
  if (length == 0 || length > kMaxHkdfBytes) {
    throw RangeError("hkdf_sha256: length is " + std::to_string(length) + "; allowed: 1 to " +
                     std::to_string(kMaxHkdfBytes));
  }
  std::vector<uint8_t> output(length);
  hkdf(ikm, salt, info, output);
  return output;
}

}  // namespace cryptensor::crypto
