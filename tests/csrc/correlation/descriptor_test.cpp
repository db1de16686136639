// SPDX-License-Identifier: MIT
#include "correlation/descriptor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <random>
#include <set>

#include "core/errors.h"
#include "correlation/dealer.h"
#include "examples.h"

namespace {

std::atomic<size_t> largest_allocation{0};

void* counted(size_t bytes) {
  size_t seen = largest_allocation.load();
  while (bytes > seen && !largest_allocation.compare_exchange_weak(seen, bytes)) {
  }
  if (void* block = std::malloc(bytes > 0 ? bytes : 1)) return block;
  throw std::bad_alloc();
}

}  // namespace

// Every allocation of this program passes here, so that a test can see what a request made of it.
void* operator new(size_t bytes) { return counted(bytes); }
void* operator new[](size_t bytes) { return counted(bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }

namespace cryptensor::correlation {
namespace {

using examples::all_kinds;
using examples::Sizes;

using Raw = std::vector<uint8_t>;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

Raw raw(const Descriptor& d) { return d.serialize(); }

// ProtocolError, and no memory to speak of.
void expect_refused(const Raw& bytes, const char* why, int parties = 2) {
  largest_allocation = 0;
  EXPECT_THROW(Descriptor::parse(bytes, parties), ProtocolError) << why;
  EXPECT_LT(largest_allocation.load(), size_t{1} << 16) << why;
}

Descriptor truncation(MaskView view, int shift = 16) {
  return Descriptor::make_truncation(std::move(view), shift);
}

MaskView view(uint64_t numel, Sizes sizes, Sizes strides, int64_t offset = 0) {
  return {examples::mask_name(7, numel, 3), std::move(sizes), std::move(strides), offset};
}

TEST(Descriptor, SurvivesTheWire) {
  for (const Descriptor& d : all_kinds()) {
    SCOPED_TRACE(testing::PrintToString(raw(d)));
    const Descriptor back = Descriptor::parse(raw(d), 2);
    EXPECT_EQ(raw(back), raw(d));
    EXPECT_EQ(back.digest(), d.digest());
    EXPECT_EQ(back.kind, d.kind);
    EXPECT_EQ(back.numel, d.numel);
    EXPECT_EQ(back.holders, d.holders);
    EXPECT_EQ(back.shift, d.shift);
    EXPECT_EQ(back.comparison, d.comparison);
    EXPECT_EQ(back.significant, d.significant);
    EXPECT_EQ(back.thresholds, d.thresholds);
    EXPECT_EQ(back.degree, d.degree);
    EXPECT_EQ(back.harmonics, d.harmonics);
    EXPECT_EQ(back.octaves, d.octaves);
    EXPECT_EQ(back.size, d.size);
    EXPECT_EQ(back.left, d.left);
    EXPECT_EQ(back.right, d.right);
    EXPECT_EQ(back.map.kind, d.map.kind);
    EXPECT_EQ(back.map.convolution.stride, d.map.convolution.stride);
    EXPECT_EQ(back.map.convolution.padding, d.map.convolution.padding);
    EXPECT_EQ(back.map.convolution.dilation, d.map.convolution.dilation);
    EXPECT_EQ(back.map.convolution.groups, d.map.convolution.groups);
    EXPECT_EQ(back.correction_bytes(), d.correction_bytes());
  }
}

TEST(Descriptor, DigestsTellDescriptorsApart) {
  std::set<uint64_t> digests;
  for (const Descriptor& d : all_kinds()) digests.insert(d.digest());
  EXPECT_EQ(digests.size(), all_kinds().size());
}

TEST(Descriptor, DeclaresItsCorrections) {
  const auto mask = view(24, {4, 6}, {6, 1});
  EXPECT_EQ(Descriptor::make_mask(100, 3).correction_bytes(), 0u);
  EXPECT_EQ(Descriptor::make_bilinear(examples::matmul(), mask, view(24, {6, 4}, {4, 1}))
                .correction_bytes(),
            8u * 16);
  EXPECT_EQ(truncation(mask, 16).correction_bytes(), 10u * 24);
  EXPECT_EQ(truncation(mask, 17).correction_bytes(), 12u * 24);
  EXPECT_EQ(truncation(view(1, {5, 5}, {0, 0}), 16).correction_bytes(), 10u * 25);
  EXPECT_EQ(Descriptor::make_wrap(7, 16).correction_bytes(), 2u * 7);
  EXPECT_EQ(Descriptor::make_wrap(7, 17).correction_bytes(), 4u * 7);
  EXPECT_EQ(Descriptor::make_comparison(512, Comparison::relu_truncate, 16).correction_bytes(),
            72u * 512 + 512 / 8);
  // 8 bytes each for v and v r.
  EXPECT_EQ(Descriptor::make_segments(512, {0}, 1).correction_bytes(), 60u * 512 + 512 / 8);
  EXPECT_EQ(Descriptor::make_harmonics(64, {52, 6, true}).correction_bytes(), 8u * 64 * 12);
  EXPECT_EQ(Descriptor::make_octaves(65, {54, 57, 3, 22}).correction_bytes(), 8u * 128 * 8);
  EXPECT_EQ(Descriptor::make_equality(512).correction_bytes(), 96u * 512 + 109 * 512 / 8);
  EXPECT_EQ(Descriptor::make_one_hot(5, 9).correction_bytes(), 8u * 5 * 16);
  EXPECT_EQ(Descriptor::make_point(5, 10).correction_bytes(), 5u * (16 + 8 * 20));
}

TEST(Descriptor, RefusesEveryPrefixAndAnythingBehind) {
  for (const Descriptor& d : all_kinds()) {
    const Raw good = raw(d);
    for (size_t n = 0; n < good.size(); ++n) {
      expect_refused(Raw(good.begin(), good.begin() + n), "cut short");
    }
    Raw longer = good;
    longer.push_back(0);
    expect_refused(longer, "a byte too many");
  }
}

TEST(Descriptor, RefusesUnknownNumbers) {
  for (int kind = 12; kind < 256; ++kind) {
    Raw bytes = raw(Descriptor::make_mask(1, 1));
    bytes[0] = static_cast<uint8_t>(kind);
    expect_refused(bytes, "kind");
  }
  Raw map = raw(all_kinds()[2]);
  map[1] = 3;
  expect_refused(map, "map");
  Raw mode = raw(Descriptor::make_comparison(1, Comparison::low_bits, 3));
  mode[9] = 4;
  expect_refused(mode, "comparison");
  Raw flag = raw(truncation(view(1, {}, {})));
  flag[1 + 8 + 8 + 8 + 4] = 2;
  expect_refused(flag, "a flag is 0 or 1");
}

TEST(Descriptor, RefusesTooManyElements) {
  for (const uint64_t n : {kMaxElements + 1, uint64_t{1} << 60, ~uint64_t{0}}) {
    expect_refused(raw(Descriptor::make_mask(n, 3)), "mask");
    expect_refused(raw(Descriptor::make_wrap(n, 16)), "wrap");
    expect_refused(raw(Descriptor::make_comparison(n, Comparison::relu, 0)), "comparison");
    expect_refused(raw(truncation(view(n, {1}, {1}))), "mask of a view");
    expect_refused(raw(Descriptor::make_segments(n, {0}, 0)), "segments");
    expect_refused(raw(Descriptor::make_harmonics(n, {52, 6, true})), "harmonics");
    expect_refused(raw(Descriptor::make_octaves(n, {54, 57, 3, 22})), "octaves");
    expect_refused(raw(Descriptor::make_equality(n)), "equality");
    expect_refused(raw(Descriptor::make_tournament(n)), "tournament");
    expect_refused(raw(Descriptor::make_one_hot(n, 1)), "one-hot");
    expect_refused(raw(Descriptor::make_one_hot(1, n)), "one-hot of too many entries");
    expect_refused(raw(Descriptor::make_point(n, 10)), "point");
  }
  EXPECT_NO_THROW(Descriptor::parse(raw(Descriptor::make_mask(kMaxElements, 3)), 2));
}

TEST(Descriptor, RefusesHoldersThatAreNoParties) {
  expect_refused(raw(Descriptor::make_mask(1, 0)), "nobody");
  expect_refused(raw(Descriptor::make_mask(1, 4)), "party 2 of two");
  expect_refused(raw(Descriptor::make_mask(1, 0x80000000)), "party 31");
  expect_refused(raw(Descriptor::make_mask(1, 16)), "party 4 of four", 4);
  EXPECT_NO_THROW(Descriptor::parse(raw(Descriptor::make_mask(1, 15)), 4));
  MaskView alien = view(1, {1}, {1});
  alien.mask.holders = 8;
  expect_refused(raw(truncation(alien)), "of a view");
}

TEST(Descriptor, RefusesViewsOutsideTheirMask) {
  expect_refused(raw(truncation(view(10, {11}, {1}))), "longer");
  expect_refused(raw(truncation(view(10, {10}, {1}, 1))), "shifted");
  expect_refused(raw(truncation(view(10, {1}, {1}, -1))), "before the start");
  expect_refused(raw(truncation(view(10, {1}, {1}, kHuge))), "far away");
  expect_refused(raw(truncation(view(10, {2, 2}, {9, 1}))), "in sum");
  expect_refused(raw(truncation(view(10, {2, 2}, {kHuge, kHuge}))), "wraps");
  expect_refused(raw(truncation(view(10, {2}, {-1}, 5))), "backwards");
  expect_refused(raw(truncation(view(10, {0, 2}, {1, -1}))), "backwards, empty");
  expect_refused(raw(truncation(view(0, {1}, {1}))), "of an empty mask");
  expect_refused(raw(truncation(view(10, {2, 5}, {5}))), "a stride is missing");
  EXPECT_NO_THROW(Descriptor::parse(raw(truncation(view(10, {2, 2}, {8, 1}))), 2));
  EXPECT_NO_THROW(Descriptor::parse(raw(truncation(view(0, {0}, {1}))), 2));
}

TEST(Descriptor, RefusesImpossibleSizes) {
  expect_refused(raw(truncation(view(10, {-1}, {1}))), "negative");
  expect_refused(raw(truncation(view(10, {kHuge}, {0}))), "huge");
  expect_refused(raw(truncation(view(10, {1 << 16, 1 << 16}, {0, 0}))), "too many elements");
  expect_refused(raw(truncation(view(10, {int64_t{1} << 32, int64_t{1} << 32}, {0, 0}))), "wraps");
  expect_refused(raw(truncation(view(10, {kHuge, kHuge, 0}, {0, 0, 0}))), "wraps, empty");
  expect_refused(raw(truncation(view(10, Sizes(9, 1), Sizes(9, 1)))), "nine dimensions");
  Raw many = raw(truncation(view(1, {}, {})));
  many[1 + 8 + 8 + 8 + 4 + 1] = 255;
  expect_refused(many, "255 dimensions announced");
}

TEST(Descriptor, RefusesShifts) {
  for (const int shift : {0, kMaxShift + 1, 62, 63, 64, 255}) {
    expect_refused(raw(truncation(view(1, {1}, {1}), shift)), "truncation");
    expect_refused(raw(Descriptor::make_wrap(1, shift)), "wrap");
  }
  for (const int shift : {0, 33, 62, 63, 64, 255}) {
    expect_refused(raw(Descriptor::make_comparison(1, Comparison::relu_truncate, shift)), "relu");
    expect_refused(raw(Descriptor::make_comparison(1, Comparison::low_bits, shift)), "low bits");
  }
  expect_refused(raw(Descriptor::make_comparison(1, Comparison::low_bits, 17)), "two steps");
  expect_refused(raw(Descriptor::make_comparison(1, Comparison::sign, 1)), "sign");
  expect_refused(raw(Descriptor::make_comparison(1, Comparison::relu, 16)), "plain relu");
}

TEST(Descriptor, TheOneBitWrapIsForTwoParties) {
  EXPECT_NO_THROW(Descriptor::parse(raw(Descriptor::make_wrap(1, 16)), 2));
  expect_refused(raw(Descriptor::make_wrap(1, 16)), "three parties", 3);
}

TEST(Descriptor, RefusesProductsThatDoNotFit) {
  const auto product = [](ring::BilinearMap map, MaskView left, MaskView right) {
    return raw(Descriptor::make_bilinear(std::move(map), std::move(left), std::move(right)));
  };
  expect_refused(product(examples::multiply(), view(10, {2}, {1}), view(10, {3}, {1})), "mul");
  expect_refused(product(examples::matmul(), view(10, {2, 3}, {3, 1}), view(10, {2, 3}, {3, 1})),
                 "matmul");
  expect_refused(product(examples::matmul(), view(10, {}, {}), view(10, {1}, {1})), "scalar");
  expect_refused(
      product(examples::matmul(), view(1, {1 << 20, 1}, {0, 0}), view(1, {1, 1 << 20}, {0, 0})),
      "the result is too large");
  expect_refused(
      product(examples::multiply(), view(1, {1 << 20, 1}, {0, 0}), view(1, {1, 1 << 20}, {0, 0})),
      "the result is too large");
}

TEST(Descriptor, RefusesBadConvolutions) {
  const auto conv = [](Sizes stride, Sizes padding, Sizes dilation, int64_t groups) {
    return raw(Descriptor::make_bilinear(
        examples::convolution(std::move(stride), std::move(padding), std::move(dilation), groups),
        view(24, {1, 2, 12}, {24, 12, 1}), view(6, {1, 2, 3}, {6, 3, 1})));
  };
  EXPECT_NO_THROW(Descriptor::parse(conv({1}, {0}, {1}, 1), 2));
  expect_refused(conv({0}, {0}, {1}, 1), "stride 0");
  expect_refused(conv({-1}, {0}, {1}, 1), "stride -1");
  expect_refused(conv({1}, {-1}, {1}, 1), "padding -1");
  expect_refused(conv({1}, {0}, {0}, 1), "dilation 0");
  expect_refused(conv({1}, {kHuge}, {1}, 1), "huge padding");
  expect_refused(conv({1}, {0}, {kHuge}, 1), "huge dilation");
  for (const int64_t groups : {int64_t{0}, int64_t{-1}, int64_t{2}, kHuge, int64_t{1} << 62}) {
    expect_refused(conv({1}, {0}, {1}, groups), "groups");
  }
  expect_refused(conv({}, {}, {}, 1), "no spatial dimension");
  expect_refused(conv({1, 1}, {0, 0}, {1, 1}, 1), "ranks");
  expect_refused(conv(Sizes(9, 1), {0}, {1}, 1), "nine strides");
}

TEST(Descriptor, RefusesSegmentsThatNobodyMakes) {
  const auto segments = [](size_t thresholds, int degree) {
    return raw(Descriptor::make_segments(1, std::vector<uint64_t>(thresholds), degree));
  };
  EXPECT_NO_THROW(Descriptor::parse(segments(kMaxThresholds, kMaxDegree), 2));
  expect_refused(segments(1, kMaxDegree + 1), "degree");
  expect_refused(segments(1, 255), "degree 255");
  expect_refused(segments(0, 1), "no threshold");
  expect_refused(segments(kMaxThresholds + 1, 1), "thresholds");
  Raw many = segments(1, 1);
  many[1 + 8 + 1] = 255;
  expect_refused(many, "255 thresholds announced");
}

TEST(Descriptor, RefusesSeriesThatNobodyMakes) {
  const auto harmonics = [](int period, int count) {
    return raw(Descriptor::make_harmonics(
        1, {static_cast<uint8_t>(period), static_cast<uint8_t>(count), false}));
  };
  for (const int period : {1, 64}) {
    EXPECT_NO_THROW(Descriptor::parse(harmonics(period, kMaxHarmonics), 2));
  }
  for (const int period : {0, 65, 255}) expect_refused(harmonics(period, 1), "period");
  for (const int count : {0, kMaxHarmonics + 1, 255}) expect_refused(harmonics(64, count), "count");
  Raw odd = harmonics(64, 1);
  odd.back() = 2;
  expect_refused(odd, "a flag is 0 or 1");
}

TEST(Descriptor, RefusesOctavesThatNobodyMakes) {
  const auto octaves = [](int fraction, int low, int index, int scale) {
    return raw(
        Descriptor::make_octaves(1, {static_cast<uint8_t>(fraction), static_cast<uint8_t>(low),
                                     static_cast<uint8_t>(index), static_cast<uint8_t>(scale)}));
  };
  EXPECT_NO_THROW(Descriptor::parse(octaves(58, 62, 2, 40), 2));
  EXPECT_NO_THROW(Descriptor::parse(octaves(54, 58, 6, 0), 2));
  expect_refused(octaves(0, 0, 1, 20), "no fraction");
  expect_refused(octaves(59, 59, 1, 20), "fraction");
  expect_refused(octaves(54, 53, 1, 20), "low below the fraction");
  expect_refused(octaves(54, 59, 1, 20), "32 octaves");
  expect_refused(octaves(54, 57, 0, 20), "no index");
  expect_refused(octaves(54, 57, 7, 20), "index");
  expect_refused(octaves(54, 57, 3, 41), "scale");
  expect_refused(octaves(58, 62, 3, 20), "beyond the element");
  expect_refused(octaves(255, 255, 255, 255), "all");
}

TEST(Descriptor, RefusesSignificantWordsThatNobodyCompares) {
  const auto significant = [](Comparison mode, int shift, int first, int words) {
    return raw(Descriptor::make_comparison(1, mode, shift, {first, words}));
  };
  EXPECT_NO_THROW(Descriptor::parse(significant(Comparison::relu, 0, 2, 2), 2));
  expect_refused(significant(Comparison::relu, 0, 3, 2), "beyond the element");
  expect_refused(significant(Comparison::relu, 0, 0, 1), "one word");
  expect_refused(significant(Comparison::relu, 0, 0, 3), "three words");
  expect_refused(significant(Comparison::relu, 0, 1, 4), "four from the second on");
  expect_refused(significant(Comparison::low_bits, 7, 0, 2), "low bits");
}

TEST(Descriptor, RefusesChoicesThatNobodyMakes) {
  expect_refused(raw(Descriptor::make_one_hot(1, 0)), "of no entries");
  expect_refused(raw(Descriptor::make_one_hot(1 << 20, 1 << 20)), "corrections");
  EXPECT_NO_THROW(Descriptor::parse(raw(Descriptor::make_point(1, 10)), 2));
  expect_refused(raw(Descriptor::make_point(1, 10)), "a point function is for two", 3);
  for (const int bits : {0, 31, 64, 255}) {
    expect_refused(raw(Descriptor::make_point(1, bits)), "bits of a point");
  }
  expect_refused(raw(Descriptor::make_tournament(kMaxElements)), "corrections");
}

// What survives a mutation is again a descriptor that the makers produce, and can be dealt.
TEST(Descriptor, RandomMutationsNeverCrash) {
  std::mt19937_64 random(2024);
  const Dealer dealer({crypto::random_key(), crypto::random_key()});
  const auto examples = all_kinds();
  size_t accepted = 0;
  largest_allocation = 0;
  for (int round = 0; round < 60000; ++round) {
    Raw bytes = raw(examples[random() % examples.size()]);
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % bytes.size();
      switch (random() % 6) {
        case 0:
          bytes[at] = static_cast<uint8_t>(random());
          break;
        case 1:
          bytes[at] ^= static_cast<uint8_t>(1 << random() % 8);
          break;
        case 2:
          bytes[at] = static_cast<uint8_t>(random() % 4);
          break;
        case 3:
          bytes[at] = 0xff;
          break;
        case 4:
          bytes.resize(at + 1);
          break;
        case 5:
          bytes.insert(bytes.begin() + at, static_cast<uint8_t>(random()));
          break;
      }
    }
    try {
      const Descriptor d = Descriptor::parse(bytes, 2);
      ASSERT_EQ(raw(d), bytes);
      const size_t size = d.correction_bytes();
      ++accepted;
      if (size > 1 << 16 || d.left.mask.numel > 1 << 12 || d.right.mask.numel > 1 << 12) continue;
      std::vector<uint8_t> corrections(size + 64);
      ASSERT_NO_THROW(dealer.deal(round, d, corrections.data())) << testing::PrintToString(bytes);
    } catch (const ProtocolError&) {
    }
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_LT(largest_allocation.load(), size_t{1} << 20);
}

}  // namespace
}  // namespace cryptensor::correlation
