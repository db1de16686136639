// SPDX-License-Identifier: MIT
#include "ring/words.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace cryptensor::ring {
namespace {

using Words = std::vector<uint64_t>;

constexpr size_t kSizes[] = {0, 1, 2, 7, 63, 64, 65, 127, 128, 129, 1000};
constexpr uint64_t kMax = ~uint64_t{0};

Words random_words(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  Words out(n);
  for (auto& w : out) w = random();
  return out;
}

TEST(Words, SumsWrapAround) {
  Words sum{kMax, uint64_t{1} << 63, 5};
  const Words term{1, uint64_t{1} << 63, kMax};
  add_to(sum.data(), term.data(), 3);
  EXPECT_EQ(sum, (Words{0, 0, 4}));
  subtract_from(sum.data(), term.data(), 3);
  EXPECT_EQ(sum, (Words{kMax, uint64_t{1} << 63, 5}));
}

TEST(Words, EveryPassMatchesItsDefinition) {
  for (const size_t n : kSizes) {
    const Words a = random_words(n, 1), b = random_words(n, 2);
    Words added = a, subtracted = a, combined = a, sum(n), product(n);
    add_to(added.data(), b.data(), n);
    subtract_from(subtracted.data(), b.data(), n);
    xor_to(combined.data(), b.data(), n);
    sum_of(sum.data(), a.data(), b.data(), n);
    product_of(product.data(), a.data(), b.data(), n);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(added[i], a[i] + b[i]);
      ASSERT_EQ(subtracted[i], a[i] - b[i]);
      ASSERT_EQ(combined[i], a[i] ^ b[i]);
      ASSERT_EQ(sum[i], a[i] + b[i]);
      ASSERT_EQ(product[i], a[i] * b[i]);
    }
  }
}

TEST(Words, NothingBehindTheEndIsTouched) {
  Words sum{1, 2, 77};
  const Words term{10, 20, 30};
  add_to(sum.data(), term.data(), 2);
  EXPECT_EQ(sum, (Words{11, 22, 77}));
}

TEST(Words, TopBitsArePackedLowestFirst) {
  for (const size_t n : kSizes) {
    const Words elements = random_words(n, 3);
    Words packed(words_for_bits(n) + 1, 0xABC);
    pack_top_bits(packed.data(), elements.data(), n);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(bit_at(packed.data(), i), elements[i] >> 63) << i;
    for (size_t i = n; i < 64 * words_for_bits(n); ++i) ASSERT_EQ(bit_at(packed.data(), i), 0u);
    ASSERT_EQ(packed.back(), 0xABCu) << n;
  }
}

TEST(Words, OnlyTheTopBitCounts) {
  const Words elements{kMax >> 1, uint64_t{1} << 63, 0, kMax};
  uint64_t packed = kMax;
  pack_top_bits(&packed, elements.data(), elements.size());
  EXPECT_EQ(packed, 0b1010u);
}

TEST(Words, WordsForBitsRoundsUp) {
  EXPECT_EQ(words_for_bits(0), 0u);
  EXPECT_EQ(words_for_bits(1), 1u);
  EXPECT_EQ(words_for_bits(64), 1u);
  EXPECT_EQ(words_for_bits(65), 2u);
}

}  // namespace
}  // namespace cryptensor::ring
