// SPDX-License-Identifier: MIT
#include "crypto/fixed_key.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "core/errors.h"

namespace cryptensor::crypto {
namespace {

// The first digits of pi behind the point: a key that nobody has chosen.
constexpr uint64_t kPi = 0x243F6A8885A308D3;
constexpr size_t kBatch = 512;  // blocks in cache

Block shuffled(const Block& x) { return {x.high, x.low ^ x.high}; }

}  // namespace

struct FixedKeyHash::Cipher {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  ~Cipher() { EVP_CIPHER_CTX_free(context); }
};

FixedKeyHash::FixedKeyHash(uint64_t number) : cipher_(std::make_unique<Cipher>()) {
  const uint64_t key[2] = {kPi, number};
  if (cipher_->context == nullptr ||
      EVP_EncryptInit_ex(cipher_->context, EVP_aes_128_ecb(), nullptr,
                         reinterpret_cast<const unsigned char*>(key), nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(cipher_->context, 0) != 1) {
    throw Error("OpenSSL cannot encrypt with AES-128");
  }
}

FixedKeyHash::~FixedKeyHash() = default;

void FixedKeyHash::operator()(const Block* in, Block* out, size_t n) const {
  Block plain[kBatch], coded[kBatch];
  for (size_t from = 0; from < n; from += kBatch) {
    const size_t count = std::min(kBatch, n - from);
    for (size_t i = 0; i < count; ++i) plain[i] = shuffled(in[from + i]);
    int written = 0;
    if (EVP_EncryptUpdate(cipher_->context, reinterpret_cast<unsigned char*>(coded), &written,
                          reinterpret_cast<const unsigned char*>(plain),
                          static_cast<int>(count * sizeof(Block))) != 1) {
      throw Error("OpenSSL cannot encrypt with AES-128");
    }
    for (size_t i = 0; i < count; ++i) out[from + i] = coded[i] ^ plain[i];
  }
}

}  // namespace cryptensor::crypto
