// SPDX-License-Identifier: MIT
// A hash of single blocks from AES-128 under a public key: the correlation-robust hash
// AES_k(s(x)) ^ s(x), s(x) = (left ^ right, left), of Guo, Katz, Wang and Yu, "Efficient and Secure
// Multiparty Computation from Fixed-Key Block Ciphers" (S&P 2020).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace cryptensor::crypto {

struct Block {
  uint64_t low, high;
  Block operator^(const Block& other) const { return {low ^ other.low, high ^ other.high}; }
};
static_assert(sizeof(Block) == 16);

class FixedKeyHash {
 public:
  // Different numbers give independent hashes.
  explicit FixedKeyHash(uint64_t number);
  ~FixedKeyHash();
  FixedKeyHash(const FixedKeyHash&) = delete;
  FixedKeyHash& operator=(const FixedKeyHash&) = delete;

  // in and out may be the same. Not for two threads at once.
  void operator()(const Block* in, Block* out, size_t n) const;
  Block operator()(const Block& in) const {
    Block out;
    (*this)(&in, &out, 1);
    return out;
  }

 private:
  struct Cipher;
  std::unique_ptr<Cipher> cipher_;
};

}  // namespace cryptensor::crypto
