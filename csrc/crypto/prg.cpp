// SPDX-License-Identifier: MIT
#include "crypto/prg.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "core/errors.h"
#include "crypto/cpu/aes_vaes.h"
#include "crypto/mutant.h"

namespace cryptensor::crypto {
namespace {

constexpr uint64_t kSubkeyStream = uint64_t{1} << 63;  // fill has the streams below, subkey these
constexpr uint64_t kBlocksPerLine = 4;
constexpr uint64_t kBytesPerLine = 64;
constexpr uint64_t kLines = uint64_t{1} << 62;  // of a stream: its block index has 64 bits

// Counts the forks between this process and the one that loaded the library.
std::atomic<uint64_t> fork_count{0};

uint64_t fork_generation() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
  if (registered != 0) throw Error("pthread_atfork failed: the PRG could not notice a fork");
  return fork_count.load(std::memory_order_relaxed);
}

void store_big_endian(uint8_t* destination, uint64_t value) {
  for (int i = 0; i < 8; ++i) destination[i] = static_cast<uint8_t>(value >> (56 - 8 * i));
}

// Looking the cipher up takes longer than using it. Kept for the life of the process.
const EVP_CIPHER* aes_128_ctr() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-128-CTR", nullptr);
  if (cipher == nullptr) throw Error("OpenSSL offers no AES-128-CTR");
  return cipher;
}

// A context for each call (0.2 us) rather than for each Prg: a context is not safe to share between
// threads, and one that was never made needs no wiping.
void aes_ctr_evp(const uint8_t* key, uint64_t high, uint64_t low, uint8_t* destination, size_t n) {
  // Encrypting zeros gives the key stream itself; 8 KiB of them stay in the L1 cache.
  alignas(64) static uint8_t zeros[8192];
  uint8_t counter[16];
  store_big_endian(counter, high);
  store_big_endian(counter + 8, low);
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  bool done = context != nullptr &&
              EVP_EncryptInit_ex(context.get(), aes_128_ctr(), nullptr, key, counter) == 1;
  while (done && n > 0) {
    const size_t part = std::min(n, sizeof zeros);
    int written = 0;
    done =
        EVP_EncryptUpdate(context.get(), destination, &written, zeros, static_cast<int>(part)) == 1;
    destination += part;
    n -= part;
  }
  if (!done) throw Error("AES-128-CTR failed in OpenSSL");
}

}  // namespace

Prg::Prg(const Key& key, Isa choice) : isa_(choice), fork_generation_(fork_generation()) {
  if (!supported(choice)) {
    throw ConfigError(std::string("this processor cannot run the ") + name(choice) + " kernels");
  }
  std::copy(key.bytes.begin(), key.bytes.end(), schedule_.begin());
  if constexpr (kHasVaesCode) {
    if (isa_ == Isa::avx512) expand_key_vaes(schedule_.data());
  }
}

Prg::~Prg() { OPENSSL_cleanse(schedule_.data(), schedule_.size()); }

void Prg::fill(uint64_t stream, uint64_t line, void* destination, size_t n) const {
  check_fork();
  if (stream >= kSubkeyStream) {
    throw RangeError("Prg::fill: stream is " + std::to_string(stream) + "; allowed: below 2^63");
  }
  const uint64_t lines = n / kBytesPerLine + (n % kBytesPerLine != 0);
  if (line > kLines || lines > kLines - line) {
    throw RangeError("Prg::fill: " + std::to_string(n) + " bytes from line " +
                     std::to_string(line) + " go beyond the 2^62 lines of a stream");
  }
  if (n == 0) return;
  draw(mutant::stream_of_fill(schedule_.data(), stream), line * kBlocksPerLine, destination, n);
  mutant::spoil(schedule_.data(), destination, n);
}

Key Prg::subkey(uint64_t a, uint64_t b) const {
  check_fork();
  Key key;
  draw(mutant::serial_of_subkey(a) | kSubkeyStream, b, key.bytes.data(), key.bytes.size());
  mutant::mark(key.bytes.data());
  return key;
}

void Prg::check_fork() const {
  if (fork_generation_ != fork_count.load(std::memory_order_relaxed)) {
    throw Error(
        "the PRG state was copied by fork: the child would repeat the masks of its parent; start "
        "the session in the process that uses it");
  }
}

void Prg::draw(uint64_t high, uint64_t low, void* destination, size_t n) const {
  auto* out = static_cast<uint8_t*>(destination);
  if constexpr (kHasVaesCode) {
    if (isa_ == Isa::avx512) return aes_ctr_vaes(schedule_.data(), high, low, out, n);
  }
  aes_ctr_evp(schedule_.data(), high, low, out, n);
}

}  // namespace cryptensor::crypto
