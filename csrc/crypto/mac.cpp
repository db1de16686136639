// SPDX-License-Identifier: MIT
#include "crypto/mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "core/errors.h"

namespace cryptensor::crypto {
namespace {

constexpr size_t kPart = size_t{1} << 30;  // OpenSSL counts in int

const EVP_CIPHER* aes_128_gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
  if (cipher == nullptr) throw Error("OpenSSL offers no AES-128-GCM");
  return cipher;
}

std::array<uint8_t, 12> random_nonce() {
  std::array<uint8_t, 12> nonce;
  random_bytes(nonce.data(), nonce.size());
  return nonce;
}

void check(int status) {
  if (status != 1) throw Error("AES-128-GCM failed in OpenSSL");
}

}  // namespace

struct Mac::State {
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context{EVP_CIPHER_CTX_new(),
                                                                          EVP_CIPHER_CTX_free};
  Seal seal;
};

Mac::Mac(const Key& key) : Mac(key, random_nonce()) {}

Mac::Mac(const Key& key, std::array<uint8_t, 12> nonce) : state_(std::make_unique<State>()) {
  state_->seal.nonce = nonce;
  check(state_->context != nullptr);
  check(EVP_EncryptInit_ex(state_->context.get(), aes_128_gcm(), nullptr, key.bytes.data(),
                           nonce.data()));
}

Mac::~Mac() = default;

void Mac::update(const void* data, size_t n) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  while (n > 0) {
    const size_t part = std::min(n, kPart);
    int written = 0;
    check(
        EVP_EncryptUpdate(state_->context.get(), nullptr, &written, bytes, static_cast<int>(part)));
    bytes += part;
    n -= part;
  }
}

Seal Mac::finish() {
  int written = 0;
  uint8_t none[16];
  check(EVP_EncryptFinal_ex(state_->context.get(), none, &written));
  Seal& seal = state_->seal;
  check(EVP_CIPHER_CTX_ctrl(state_->context.get(), EVP_CTRL_AEAD_GET_TAG,
                            static_cast<int>(seal.tag.size()), seal.tag.data()));
  return seal;
}

bool is_sealed(const Key& key, const Seal& seal, const void* data, size_t n) {
  Mac mac(key, seal.nonce);
  mac.update(data, n);
  return CRYPTO_memcmp(mac.finish().tag.data(), seal.tag.data(), seal.tag.size()) == 0;
}

}  // namespace cryptensor::crypto
