// SPDX-License-Identifier: MIT
#include "crypto/mac.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cryptensor::crypto {
namespace {

std::vector<uint8_t> bytes(const std::string& hex) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i < hex.size(); i += 2)
    out.push_back(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

template <size_t kSize>
std::array<uint8_t, kSize> array(const std::string& hex) {
  std::array<uint8_t, kSize> out{};
  const auto from = bytes(hex);
  std::copy(from.begin(), from.end(), out.begin());
  return out;
}

// NIST CAVS, gcmEncryptExtIV128, no plaintext and 128 bits of additional data, count 0.
TEST(Mac, MatchesAKnownAnswer) {
  const Key key{array<16>("77be63708971c4e240d1cb79e8d77feb")};
  const auto data = bytes("7a43ec1d9c0a5a78a0b16533a6213cab");
  Mac mac(key, array<12>("e0e00f19fed7ba0136a797f3"));
  mac.update(data.data(), 5);
  mac.update(data.data() + 5, data.size() - 5);
  EXPECT_EQ(mac.finish().tag, array<16>("209fcc8d3675ed938e9c7166709dd946"));
}

TEST(Mac, SealsFitTheirBytesOnly) {
  const Key key = random_key();
  std::vector<uint8_t> data(1000, 7);
  Mac mac(key);
  mac.update(data.data(), data.size());
  const Seal seal = mac.finish();
  EXPECT_TRUE(is_sealed(key, seal, data.data(), data.size()));
  EXPECT_FALSE(is_sealed(key, seal, data.data(), data.size() - 1));
  EXPECT_FALSE(is_sealed(random_key(), seal, data.data(), data.size()));
  data[999] ^= 1;
  EXPECT_FALSE(is_sealed(key, seal, data.data(), data.size()));
  Mac again(key);
  EXPECT_NE(again.finish().nonce, seal.nonce);
}

}  // namespace
}  // namespace cryptensor::crypto
