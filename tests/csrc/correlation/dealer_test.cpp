// SPDX-License-Identifier: MIT
#include "correlation/dealer.h"

#include <gtest/gtest.h>

#include "dealt.h"

namespace cryptensor::correlation {
namespace {

using examples::all_kinds;
using examples::mask_name;
using examples::Session;
using examples::Sizes;
using examples::whole;
using examples::words;

using Bytes = std::vector<uint8_t>;

Bytes deal(const Dealer& dealer, uint64_t serial, const Descriptor& d) {
  Bytes out(d.correction_bytes() + 64, 0xA5);
  dealer.deal(serial, d, out.data());
  for (size_t i = d.correction_bytes(); i < out.size(); ++i) {
    EXPECT_EQ(out[i], 0xA5) << "written past the end";
  }
  return out;
}

void expect_product(const Session& session, const Descriptor& d) {
  const Bytes corrections = deal(Dealer(session.keys), 9, d);
  const size_t n = d.correction_bytes() / 8;
  EXPECT_EQ(session.total<uint64_t>(9, d, kProductStream, corrections.data(), n),
            words(d.map(session.mask(d.left), session.mask(d.right))));
}

template <class W>
void expect_truncation(const Session& session, const Descriptor& d) {
  const Bytes corrections = deal(Dealer(session.keys), 9, d);
  const std::vector<uint64_t> r = words(session.mask(d.left));
  const size_t n = r.size();
  const auto shifted = session.total<uint64_t>(9, d, kShiftedStream, corrections.data(), n);
  const auto top = session.total<W>(9, d, kWrapStream, corrections.data() + 8 * n, n);
  for (size_t i = 0; i < n; ++i) {
    EXPECT_EQ(shifted[i], r[i] >> d.shift);
    EXPECT_EQ(top[i], r[i] >> 63);
  }
}

template <class W>
void expect_bit_products(const Session& session, const Descriptor& d) {
  const Bytes corrections = deal(Dealer(session.keys), 9, d);
  const size_t n = d.numel;
  const auto product = session.total<W>(9, d, kWrapStream, corrections.data(), n);
  const auto s0 = session.expanded(0, 9, d, kMaskStream, (n + 63) / 64);
  const auto s1 = session.expanded(1, 9, d, kMaskStream, (n + 63) / 64);
  for (size_t i = 0; i < n; ++i) {
    EXPECT_EQ(product[i], s0[i / 64] >> (i % 64) & s1[i / 64] >> (i % 64) & 1);
  }
}

// Tables, the dealer's bit and its products. The monomials are the business of the kernels' test.
template <class W>
void expect_comparison(const Session& session, const Descriptor& d) {
  using Field = ComparisonStream;
  const Bytes dealt = deal(Dealer(session.keys), 9, d);
  const ComparisonLayout layout(d.numel, d.comparison, d.shift);
  const size_t n = layout.padded;
  const auto field = [&]<class T>(T, Field stream, size_t offset, size_t count, bool of_bits) {
    return session.total<T>(9, d, static_cast<uint64_t>(stream), dealt.data() + offset, count,
                            of_bits);
  };
  std::vector<uint64_t> r(n);
  for (int p = 0; p < session.parties(); ++p) {
    const auto share = session.expanded(p, 9, d, static_cast<uint64_t>(Field::mask), n);
    for (size_t i = 0; i < n; ++i) r[i] += share[i];
  }
  const auto tables = field(uint16_t{}, Field::tables, layout.tables, n * layout.chunks, true);
  const auto offset = field(uint64_t{}, Field::bit_offset, layout.bit_offset, layout.words, true);
  const auto bit = field(uint64_t{}, Field::bit, layout.bit, n, false);
  for (size_t i = 0; i < n; ++i) {
    for (int c = 0; c < layout.chunks; ++c) {
      const uint64_t compared = layout.chunks == 4 ? r[i] << (16 - d.shift) & 0xffff : r[i];
      const int chunk = static_cast<int>(compared >> (4 * c) & (c == 15 ? 7 : 15));
      ASSERT_EQ(tables[32 * (layout.chunks * (i / 32) + c) + i % 32], (1 << chunk) - 1);
    }
    ASSERT_LE(bit[i], 1u);
    const uint64_t top = layout.chunks == 16 ? r[i] >> 63 ^ 1 : 0;
    ASSERT_EQ(offset[i / 64] >> (i % 64) & 1, bit[i] ^ top);
  }
  if (layout.truncates) {
    const auto shifted = field(uint64_t{}, Field::shifted, layout.shifted, n, false);
    const auto wrap = field(W{}, Field::wrap, layout.wrap, n, false);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(shifted[i], r[i] >> d.shift);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(wrap[i], r[i] >> 63);
  }
  if (layout.selects) {
    const auto selected = field(uint64_t{}, Field::selected, layout.selected, n, false);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(selected[i], (r[i] >> d.shift) * bit[i]);
  }
  if (layout.selects && layout.truncates) {
    const auto wrap = field(W{}, Field::selected_wrap, layout.selected_wrap, n, false);
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(wrap[i], (r[i] >> 63) * bit[i]);
  }
}

class DealerTest : public testing::TestWithParam<int> {
 protected:
  Session session_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Parties, DealerTest, testing::Values(2, 3, 4));

TEST_P(DealerTest, ProductsOfEveryExample) {
  for (const Descriptor& d : all_kinds()) {
    if (d.kind == Kind::bilinear) expect_product(session_, d);
  }
}

TEST_P(DealerTest, ProductsOfMasksOfEveryHolders) {
  const uint32_t everyone = (1u << GetParam()) - 1;
  for (uint32_t holders = 1; holders <= everyone; ++holders) {
    const auto left = whole(mask_name(3, 6, holders), {2, 3});
    const auto right =
        whole(mask_name(4, 6, everyone & ~holders ? everyone & ~holders : everyone), {3, 2});
    expect_product(session_, Descriptor::make_bilinear(examples::matmul(), left, right));
    expect_product(session_, Descriptor::make_bilinear(examples::matmul(), right, left));
  }
}

TEST_P(DealerTest, ProductsOfNothing) {
  const auto all = (1u << GetParam()) - 1;
  const auto empty = whole(mask_name(3, 0, all), {2, 0});
  const auto right = whole(mask_name(4, 0, all), {0, 3});
  expect_product(session_, Descriptor::make_bilinear(examples::matmul(), empty, right));
  expect_product(session_, Descriptor::make_bilinear(examples::multiply(), empty, empty));
}

TEST_P(DealerTest, TruncationsByEveryShift) {
  const auto mask = mask_name(2, 70, (1u << GetParam()) - 1);
  for (int shift = 1; shift <= 32; ++shift) {
    for (const MaskView& view : {whole(mask, {70}), MaskView{mask, {3, 4}, {20, 2}, 5},
                                 MaskView{mask, {4, 3}, {0, 1}, 67}, whole(mask, {0})}) {
      const Descriptor d = Descriptor::make_truncation(view, shift);
      shift <= 16 ? expect_truncation<uint16_t>(session_, d)
                  : expect_truncation<uint32_t>(session_, d);
    }
  }
}

TEST(Dealer, BitProductsForTwoParties) {
  const Session session(2);
  for (const size_t n : {0, 1, 63, 64, 65, 1000}) {
    expect_bit_products<uint16_t>(session, Descriptor::make_wrap(n, 1));
    expect_bit_products<uint16_t>(session, Descriptor::make_wrap(n, 16));
    expect_bit_products<uint32_t>(session, Descriptor::make_wrap(n, 17));
  }
}

TEST_P(DealerTest, ComparisonsOfEveryMode) {
  for (const size_t n : {1, 64, 65, 513}) {
    expect_comparison<uint16_t>(session_, Descriptor::make_comparison(n, Comparison::sign, 0));
    expect_comparison<uint16_t>(session_, Descriptor::make_comparison(n, Comparison::relu, 0));
    for (const int shift : {1, 7, 16}) {
      expect_comparison<uint16_t>(session_,
                                  Descriptor::make_comparison(n, Comparison::relu_truncate, shift));
      expect_comparison<uint16_t>(session_,
                                  Descriptor::make_comparison(n, Comparison::low_bits, shift));
    }
    expect_comparison<uint32_t>(session_,
                                Descriptor::make_comparison(n, Comparison::relu_truncate, 28));
  }
}

TEST(Dealer, TheSameCorrelationIsDealtTheSame) {
  const Session session(2);
  const Dealer dealer(session.keys);
  for (const Descriptor& d : all_kinds()) EXPECT_EQ(deal(dealer, 5, d), deal(dealer, 5, d));
}

TEST(Dealer, EverySerialAndDescriptorHasItsOwnRandomness) {
  const Session session(2);
  const Dealer dealer(session.keys);
  const MaskName mask = mask_name(2, 64, 3);
  const auto a = Descriptor::make_truncation(whole(mask, {64}), 16);
  const auto b = Descriptor::make_truncation(whole(mask, {8, 8}), 16);
  EXPECT_NE(deal(dealer, 5, a), deal(dealer, 6, a));
  EXPECT_NE(deal(dealer, 5, a), deal(dealer, 5, b)) << "the values are the same, the shares not";
}

TEST(Dealer, ThePartiesSeedsDoNotGiveTheDealersBit) {
  // Two dealers with the same party keys differ in what no party may know.
  const Session session(2);
  const Descriptor d = Descriptor::make_comparison(512, Comparison::sign, 0);
  EXPECT_NE(deal(Dealer(session.keys), 5, d), deal(Dealer(session.keys), 5, d));
  const Descriptor product = all_kinds()[2];
  EXPECT_EQ(deal(Dealer(session.keys), 5, product), deal(Dealer(session.keys), 5, product));
}

}  // namespace
}  // namespace cryptensor::correlation
