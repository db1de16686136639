// SPDX-License-Identifier: MIT
// RAND_set_rand_method is deprecated; it is the one way to make the entropy source fail.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/key.h"

#include <gtest/gtest.h>
#include <openssl/rand.h>

#include <algorithm>
#include <new>
#include <numeric>
#include <set>
#include <string>

#include "core/errors.h"

namespace cryptensor::crypto {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes from_hex(const std::string& hex) {
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Bytes sequence(int first, int last) {
  Bytes bytes(static_cast<size_t>(last - first + 1));
  std::iota(bytes.begin(), bytes.end(), static_cast<uint8_t>(first));
  return bytes;
}

Key key_of(const Bytes& bytes) {
  Key key;
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

// RFC 5869, appendix A, cases 1 to 3.
TEST(HkdfTest, Rfc5869Case1) {
  EXPECT_EQ(hkdf_sha256(Bytes(22, 0x0b), sequence(0x00, 0x0c), sequence(0xf0, 0xf9), 42),
            from_hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                     "34007208d5b887185865"));
}

TEST(HkdfTest, Rfc5869Case2LongInput) {
  EXPECT_EQ(hkdf_sha256(sequence(0x00, 0x4f), sequence(0x60, 0xaf), sequence(0xb0, 0xff), 82),
            from_hex("b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                     "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                     "cc30c58179ec3e87c14c01d5c1f3434f1d87"));
}

TEST(HkdfTest, Rfc5869Case3WithoutSaltAndInfo) {
  EXPECT_EQ(hkdf_sha256(Bytes(22, 0x0b), {}, {}, 42),
            from_hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                     "9d201395faa4b61a96c8"));
}

TEST(HkdfTest, LengthAndEmptyInputAreChecked) {
  const Bytes ikm(16, 1);
  EXPECT_EQ(hkdf_sha256(ikm, {}, {}, 8160).size(), 8160u);
  EXPECT_THROW(hkdf_sha256(ikm, {}, {}, 8161), RangeError);
  EXPECT_THROW(hkdf_sha256(ikm, {}, {}, 0), RangeError);
  EXPECT_THROW(hkdf_sha256({}, {}, {}, 16), RangeError);
}

TEST(DeriveTest, IsHkdfOfLabelAndBothNumbersLittleEndian) {
  const Bytes parent = sequence(0, 15);
  const Bytes info = from_hex(
      "6d61736b"
      "0807060504030201"
      "0200000000000000");
  const Key key = derive(key_of(parent), "mask", 0x0102030405060708, 2);
  EXPECT_EQ(Bytes(key.bytes.begin(), key.bytes.end()), hkdf_sha256(parent, {}, info, 16));
}

TEST(DeriveTest, EveryInputMatters) {
  const Key parent = key_of(sequence(0, 15));
  std::set<std::array<uint8_t, 16>> keys = {
      parent.bytes,
      derive(parent, "a").bytes,
      derive(parent, "b").bytes,
      derive(parent, "").bytes,
      derive(parent, "a", 1).bytes,
      derive(parent, "a", 0, 1).bytes,
      derive(parent, std::string_view("a\0", 2)).bytes,
      derive(key_of(sequence(1, 16)), "a").bytes,
  };
  EXPECT_EQ(keys.size(), 8u);
  EXPECT_EQ(derive(parent, "a", 0, 0).bytes, derive(parent, "a").bytes);
}

TEST(KeyTest, IsWipedOnDestruction) {
  alignas(Key) unsigned char storage[sizeof(Key)];
  Key* key = new (storage) Key(key_of(Bytes(16, 0xc3)));
  EXPECT_EQ(storage[5], 0xc3);
  key->~Key();
  const volatile unsigned char* bytes = storage;
  for (size_t i = 0; i < sizeof(Key); ++i) EXPECT_EQ(bytes[i], 0) << i;
}

TEST(KeyTest, RandomKeysDiffer) {
  std::set<std::array<uint8_t, 16>> keys;
  for (int i = 0; i < 1000; ++i) keys.insert(random_key().bytes);
  EXPECT_EQ(keys.size(), 1000u);
}

TEST(RandomBytesTest, WritesExactlyTheBytesAskedFor) {
  for (size_t n : {size_t{0}, size_t{1}, size_t{17}, size_t{100}}) {
    // A byte left alone stays equal in 40 draws; a random one does so with probability 2^-312.
    Bytes first(128, 0), changed(128, 0);
    random_bytes(first.data(), n);
    for (int draw = 0; draw < 40; ++draw) {
      Bytes next(128, 0);
      random_bytes(next.data(), n);
      for (size_t i = 0; i < 128; ++i) changed[i] |= next[i] != first[i];
    }
    for (size_t i = 0; i < 128; ++i) ASSERT_EQ(changed[i], i < n) << n << " at " << i;
  }
}

TEST(RandomBytesTest, MissingEntropyIsAnError) {
  RAND_METHOD broken{};
  broken.bytes = [](unsigned char*, int) { return 0; };
  const RAND_METHOD* working = RAND_get_rand_method();
  ASSERT_EQ(RAND_set_rand_method(&broken), 1);
  EXPECT_THROW(random_key(), EntropyError);
  ASSERT_EQ(RAND_set_rand_method(working), 1);
  EXPECT_NO_THROW(random_key());
}

TEST(SeedThreadTest, NoBuildButThatOfTheMutantsHasIt) {
  EXPECT_THROW(seed_thread(std::array<uint8_t, 16>{}), ConfigError);
  EXPECT_NO_THROW(seed_thread(std::nullopt));
  std::array<uint8_t, 16> first, second;
  random_bytes(first.data(), first.size());
  random_bytes(second.data(), second.size());
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace cryptensor::crypto
