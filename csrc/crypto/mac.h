// SPDX-License-Identifier: MIT
// Message authentication by GMAC (NIST SP 800-38D): AES-128-GCM of no text, all bytes additional.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "crypto/key.h"

namespace cryptensor::crypto {

// A nonce drawn anew for every tag, so that a key may seal many times.
struct Seal {
  std::array<uint8_t, 12> nonce{};
  std::array<uint8_t, 16> tag{};
  bool operator==(const Seal&) const = default;
};

// The bytes of any number of update() calls, one after the other.
class Mac {
 public:
  explicit Mac(const Key& key);                        // to seal: with a random nonce
  Mac(const Key& key, std::array<uint8_t, 12> nonce);  // to compare with a seal of that nonce
  ~Mac();
  Mac(const Mac&) = delete;
  Mac& operator=(const Mac&) = delete;

  void update(const void* data, size_t n);
  Seal finish();  // once, the last call

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// True when `seal` is that of the bytes. In constant time.
bool is_sealed(const Key& key, const Seal& seal, const void* data, size_t n);

}  // namespace cryptensor::crypto
