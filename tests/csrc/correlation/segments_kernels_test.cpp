// SPDX-License-Identifier: MIT
#include "correlation/cpu/segments_kernels.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "segments_run.h"

namespace cryptensor::correlation {
namespace {

using testing_run::count_wrong;
using testing_run::Dealing;
using testing_run::evaluate;
using testing_run::Parties;
using testing_run::Pieces;
using testing_run::SegmentsTranscript;
using testing_run::Words;

constexpr size_t kSizes[] = {1, 63, 64, 65, 511, 512, 513, 1100};
constexpr uint64_t kEnd = uint64_t{1} << 62;

// Thresholds that differ in all of their words, of every magnitude.
Words thresholds(int count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Words out;
  for (int j = 0; j < count; ++j) {
    out.push_back(static_cast<uint64_t>(static_cast<int64_t>(random()) >> (2 + random() % 60)));
  }
  return out;
}

// At the thresholds and one unit beside, at the ends of the ring, then anywhere.
Words inputs(size_t n, const Words& thresholds, uint64_t seed) {
  Words edges{0, 1, ~uint64_t{0}, kEnd, -kEnd, uint64_t{1} << 63, (uint64_t{1} << 63) - 1};
  for (const uint64_t t : thresholds) edges.insert(edges.end(), {t - 1, t, t + 1});
  std::mt19937_64 random(seed);
  Words out(n);
  for (size_t i = 0; i < n; ++i) {
    const size_t edge = (i + seed) % (2 * edges.size());
    out[i] = edge < edges.size()
                 ? edges[edge]
                 : static_cast<uint64_t>(static_cast<int64_t>(random()) >> random() % 64);
  }
  return out;
}

SegmentsTranscript run(const Dealing& setting, const Pieces& pieces, const Words& x) {
  return evaluate(segments_kernels(), isa(), setting, pieces, x);
}

void expect_right(const Dealing& setting, const Pieces& pieces, const Words& x) {
  SCOPED_TRACE(std::to_string(pieces.thresholds.size()) + " thresholds, degree " +
               std::to_string(pieces.degree) + ", parties " + std::to_string(setting.parties) +
               ", n " + std::to_string(x.size()));
  ASSERT_EQ(count_wrong(run(setting, pieces, x), pieces, x), 0u);
}

TEST(Segments, AreRightForEverySizeDegreeAndNumberOfThresholds) {
  uint64_t seed = 1;
  for (const size_t n : kSizes) {
    for (int degree = 0; degree <= kMaxDegree; ++degree) {
      for (const int count : {1, 2, 3, 8, kMaxThresholds}) {
        ++seed;
        const int parties = 2 + static_cast<int>(seed % 3);
        const Pieces pieces = Pieces::random(thresholds(count, seed), degree, seed);
        expect_right({parties, seed, seed % 2 == 0}, pieces, inputs(n, pieces.thresholds, seed));
      }
    }
  }
}

TEST(Segments, EveryNumberOfThresholds) {
  for (int count = 1; count <= kMaxThresholds; ++count) {
    const Pieces pieces = Pieces::random(thresholds(count, count), 1, count, kMaxForms);
    expect_right({2, static_cast<uint64_t>(count)}, pieces, inputs(200, pieces.thresholds, 0));
  }
}

TEST(Segments, ThresholdsAtTheEnds) {
  const Words ends{-kEnd, 1 - kEnd, ~uint64_t{0}, 0, 1, kEnd - 1, kEnd};
  for (int degree = 0; degree <= kMaxDegree; ++degree) {
    const Pieces pieces = Pieces::random(ends, degree, 3);
    expect_right({3, 5}, pieces, inputs(600, ends, 5));
  }
}

TEST(Segments, ThresholdsThatAgreeInWordsShareTheirNodes) {
  // A node for each different word, and one for a word that may lose a borrow.
  EXPECT_EQ(SegmentsLayout(1, {0}, 0).nodes.size(), 4u);
  EXPECT_EQ(SegmentsLayout(1, {0x0001000200030004}, 0).nodes.size(), 7u);
  EXPECT_EQ(SegmentsLayout(1, {0, 0}, 0).nodes.size(), 4u);
  EXPECT_EQ(SegmentsLayout(1, {0, 5}, 0).nodes.size(), 8u);
  EXPECT_EQ(SegmentsLayout(1, {0x50000, 0x60000}, 0).nodes.size(), 7u);
  // A borrow turns the one's word into the other's.
  EXPECT_EQ(SegmentsLayout(1, {0x60001, 0x50000}, 0).nodes.size(), 2u + 3 + 2 + 2);
  for (const Words& same :
       {Words{7, 7}, Words{0x1234567812340000, 0x1234567812340001},
        Words{0x0001ffffffff0000, 0x00020000ffff0000}, Words{0x10000, 0x20000, 0x30000, 0x40000},
        Words{0x60001, 0x50000}, Words{0xffff, 0x10000, 0xffff0000, 0xffffffff}}) {
    for (int degree = 0; degree <= kMaxDegree; ++degree) {
      const Pieces pieces = Pieces::random(same, degree, 4);
      expect_right({2, 6}, pieces, inputs(300, same, 6));
    }
  }
}

// The opened c is what borrows: it is given here, by way of the mask.
TEST(Segments, BorrowsFromEveryWordOfWhatIsOpened) {
  const Words ts{0x0000000000000001, 0x0000000000010000, 0x0001000000000000, 0x0000000100000000,
                 0xffffffffffffffff, 0xfffffffffffe0001, 0x8000000000000000, 0x0000ffff0000ffff,
                 0xffff0000ffff0000, 0x7fffffffffffffff};
  const uint64_t words[] = {0, 1, 0xfffe, 0xffff};
  const size_t n = 256;
  for (const bool spread : {false, true}) {
    const Dealing setting{2, 17, spread};
    const Words r = Parties(setting, isa()).mask(static_cast<uint64_t>(SegmentStream::mask), n);
    Words x(n);
    for (size_t i = 0; i < n; ++i) {
      uint64_t c = 0;
      for (int g = 0; g < 4; ++g) c |= words[i >> (2 * g) & 3] << (16 * g);
      x[i] = c - r[i];
    }
    const Pieces pieces = Pieces::random(ts, 1, 7);
    const SegmentsTranscript t = run(setting, pieces, x);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(t.messages[0][i] + t.messages[1][i], x[i] + r[i]);
    }
    EXPECT_EQ(count_wrong(t, pieces, x), 0u);
  }
  // The same where c - t ends in each of those words, so that the tables are read at its ends.
  for (const uint64_t threshold : ts) {
    const Dealing setting{2, 18};
    const Words r = Parties(setting, isa()).mask(static_cast<uint64_t>(SegmentStream::mask), n);
    Words x(n);
    for (size_t i = 0; i < n; ++i) {
      uint64_t d = 0;
      for (int g = 0; g < 4; ++g) d |= words[i >> (2 * g) & 3] << (16 * g);
      x[i] = d + threshold - r[i];
    }
    expect_right(setting, Pieces::random({threshold}, 0, 8), x);
  }
}

// A borrow that crosses a word whose two sides are equal: for x beside t this takes a mask whose
// word is all ones or all zeros. Such masks are looked for.
TEST(Segments, BorrowsThatCrossAWordDecide) {
  int found[3] = {};
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    const Dealing setting{2, seed};
    const Words r = Parties(setting, isa()).mask(static_cast<uint64_t>(SegmentStream::mask), 64);
    for (size_t i = 0; i < r.size(); ++i) {
      for (int g = 1; g < 3; ++g) {
        const uint64_t word = r[i] >> (16 * g) & 0xffff;
        if (word != 0 && word != 0xffff) continue;
        ++found[g];
        for (const uint64_t c : {uint64_t{0}, ~uint64_t{0}, uint64_t{0x0001000100010001}}) {
          for (const uint64_t beside : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
            // Opened is c, so that c - t is r or a unit beside it.
            const uint64_t t = c - r[i] - beside;
            Words x(64, t);
            x[i] = c - r[i];
            expect_right(setting, Pieces::random({t}, 0, seed), x);
          }
        }
      }
    }
  }
  EXPECT_GT(found[1], 3);
  EXPECT_GT(found[2], 3);
}

TEST(Segments, NothingIsOpenedUnmasked) {
  const Words ts = thresholds(5, 9);
  const Pieces pieces = Pieces::random(ts, 2, 9);
  const SegmentsTranscript t = run({2, 3}, pieces, Words(4096, ts[0]));
  testing_run::each_biased_plane(t.messages, 2, [](size_t round, size_t at) {
    ADD_FAILURE() << "round " << round << ", word " << at;
  });
}

TEST(Segments, InstructionSetsAgreeBitForBit) {
#if defined(__x86_64__)
  if (!supported(Isa::avx512)) GTEST_SKIP() << "this processor has no AVX-512";
  uint64_t seed = 1;
  for (const size_t n : kSizes) {
    for (int degree = 0; degree <= kMaxDegree; ++degree) {
      for (const int count : {1, 3, kMaxThresholds}) {
        ++seed;
        const Pieces pieces = Pieces::random(thresholds(count, seed), degree, seed);
        const Dealing setting{2 + static_cast<int>(seed % 3), seed, seed % 2 == 0};
        const Words x = inputs(n, pieces.thresholds, seed);
        const auto narrow =
            evaluate(segments_kernels_portable(), Isa::portable, setting, pieces, x);
        const auto wide = evaluate(segments_kernels_avx512(), Isa::avx512, setting, pieces, x);
        ASSERT_EQ(narrow.messages, wide.messages);
        ASSERT_EQ(narrow.corrections, wide.corrections);
        ASSERT_TRUE(narrow == wide);
        ASSERT_EQ(count_wrong(narrow, pieces, x), 0u);
      }
    }
  }
#else
  GTEST_SKIP() << "one instruction set only";
#endif
}

TEST(Segments, EveryCorrectedFieldMatters) {
  const size_t n = 512;
  for (int degree = 0; degree <= kMaxDegree; ++degree) {
    const Words ts = thresholds(3, 21);
    const Pieces pieces = Pieces::random(ts, degree, 21);
    const Words x = inputs(n, ts, 21);
    const SegmentsLayout layout(n, ts, degree);
    std::vector<size_t> fields{layout.level1, layout.level2, layout.bit_offset};
    for (int f = 0; f < layout.value_fields(); ++f) fields.push_back(layout.value_offset(f));
    fields.insert(fields.end(), {layout.tables, layout.correction_bytes});
    ASSERT_TRUE(std::is_sorted(fields.begin(), fields.end()));
    for (size_t f = 0; f + 1 < fields.size(); ++f) {
      Dealing setting{3, 12};
      setting.tamper = [&](uint8_t* corrections) {
        for (size_t i = fields[f]; i < fields[f + 1]; ++i) corrections[i] ^= 0xff;
      };
      EXPECT_GT(count_wrong(run(setting, pieces, x), pieces, x), n / 16) << "field " << f;
    }
  }
}

TEST(Segments, OneFlippedBitOfAMaskedValueIsNoticedWhereItIs) {
  const size_t n = 65;
  const Words ts = thresholds(2, 22);
  for (int degree = 0; degree <= kMaxDegree; ++degree) {
    const Pieces pieces = Pieces::random(ts, degree, 22);
    const Words x = inputs(n, ts, 22);
    const SegmentsLayout layout(n, ts, degree);
    for (int field = 0; field < layout.value_fields(); ++field) {
      Dealing setting{2, 13};
      setting.tamper = [&](uint8_t* corrections) {
        corrections[layout.value_offset(field) + 8 * 64] ^= 1;  // of the last element
      };
      EXPECT_EQ(count_wrong(run(setting, pieces, x), pieces, x), 1u) << "field " << field;
    }
    // A bit of an offset turns the bit of one threshold.
    Dealing setting{2, 13};
    setting.tamper = [&](uint8_t* corrections) { corrections[layout.bit_offset] ^= 2; };
    EXPECT_EQ(count_wrong(run(setting, pieces, x), pieces, x), 1u);
  }
}

TEST(SegmentsLayout, MatchesTheDesignPerElement) {
  const size_t n = 512 * 40;
  // One threshold without a borrow is a plain comparison that also selects.
  const SegmentsLayout one(n, {0}, 1);
  const ComparisonLayout relu(n, Comparison::relu, 0);
  EXPECT_EQ(one.opened_bytes(), relu.opened_bytes());
  EXPECT_EQ(one.correction_bytes, relu.correction_bytes);
  EXPECT_EQ(one.kRounds, relu.rounds());
  EXPECT_EQ(SegmentsLayout(n, {0}, 0).correction_bytes,
            ComparisonLayout(n, Comparison::sign, 0).correction_bytes);
  EXPECT_EQ(SegmentsLayout(n, {0}, 3).correction_bytes, one.correction_bytes + 8 * 4 * n);
}

}  // namespace
}  // namespace cryptensor::correlation
