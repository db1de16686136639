// SPDX-License-Identifier: MIT
#include "correlation/cpu/comparison_kernels.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "comparison_run.h"

namespace cryptensor::correlation {
namespace {

using testing_run::compare;
using testing_run::Setting;
using testing_run::Transcript;
using testing_run::Words;

constexpr Comparison kModes[] = {Comparison::sign, Comparison::relu, Comparison::relu_truncate,
                                 Comparison::low_bits};
constexpr size_t kSizes[] = {1, 2, 63, 64, 65, 511, 512, 513, 1000};

bool truncates(Comparison mode) {
  return mode == Comparison::relu_truncate || mode == Comparison::low_bits;
}

// Values at which an off-by-one would show, then random ones of every magnitude.
Words inputs(size_t n, Comparison mode, uint64_t seed) {
  std::vector<int64_t> edges{0};
  for (const int64_t v : {int64_t{1}, int64_t{2}, (int64_t{1} << 16) - 1, int64_t{1} << 16,
                          (int64_t{1} << 16) + 1, int64_t{1} << 32, (int64_t{1} << 61) - 1,
                          int64_t{1} << 61, (int64_t{1} << 61) + 1, (int64_t{1} << 62) - 1}) {
    edges.insert(edges.end(), {v, -v});
  }
  if (!truncates(mode)) {  // right on the whole ring
    edges.insert(edges.end(), {std::numeric_limits<int64_t>::max(),
                               std::numeric_limits<int64_t>::min(), int64_t{1} << 62});
  }
  std::mt19937_64 random(seed);
  Words out(n);
  for (size_t i = 0; i < n; ++i) {
    // One size after the other starts at another edge, so that n = 1 sees more than zero.
    const size_t edge = (i + seed) % (2 * edges.size());
    out[i] = static_cast<uint64_t>(
        edge < edges.size() ? edges[edge] : static_cast<int64_t>(random()) >> (2 + random() % 61));
  }
  return out;
}

int64_t floor_of(uint64_t x, int shift) { return static_cast<int64_t>(x) >> shift; }

// Elements whose result is not what the mode declares.
size_t count_wrong(const Transcript& t, const Setting& setting, const Words& x) {
  const Words result = t.result(), sign = t.sign();
  size_t wrong = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool positive = static_cast<int64_t>(x[i]) >= 0;
    const int64_t y = static_cast<int64_t>(result[i]);
    bool right = false;
    switch (setting.mode) {
      case Comparison::sign:
        right = y == (positive ? 1 : 0);
        break;
      case Comparison::relu:
        right = y == (positive ? static_cast<int64_t>(x[i]) : 0);
        break;
      case Comparison::relu_truncate: {
        const int64_t floor = floor_of(x[i], setting.shift);
        right = positive ? y == floor || y == floor + 1 : y == 0;
        break;
      }
      case Comparison::low_bits:
        right = y == floor_of(x[i], setting.shift);
        break;
    }
    if (setting.mode != Comparison::low_bits) right &= sign[i] == (positive ? 1u : 0u);
    wrong += !right;
  }
  return wrong;
}

std::string text(const Setting& setting, size_t n) {
  return "mode " + std::to_string(static_cast<int>(setting.mode)) + ", shift " +
         std::to_string(setting.shift) + ", parties " + std::to_string(setting.parties) + ", n " +
         std::to_string(n);
}

void expect_right(const Setting& setting, size_t n) {
  SCOPED_TRACE(text(setting, n));
  const Words x = inputs(n, setting.mode, setting.seed);
  const Transcript t = compare(comparison_kernels(), isa(), setting, x);
  for (const Words& share : t.results) ASSERT_EQ(share.size(), n);
  ASSERT_EQ(count_wrong(t, setting, x), 0u);
}

TEST(Comparison, IsRightForEverySizeModeAndNumberOfParties) {
  uint64_t seed = 1;
  for (const size_t n : kSizes) {
    for (const Comparison mode : kModes) {
      for (const int parties : {2, 3, 4}) {
        expect_right({mode, truncates(mode) ? 16 : 0, parties, ++seed}, n);
      }
    }
  }
}

TEST(Comparison, OneElementSeesEveryEdge) {
  for (const Comparison mode : kModes) {
    for (uint64_t edge = 0; edge < 24; ++edge) {
      expect_right({mode, truncates(mode) ? 13 : 0, 2, edge}, 1);
    }
  }
}

TEST(Comparison, TruncatesByEveryShift) {
  for (int shift = 1; shift <= 32; ++shift) {
    for (const int parties : {2, 3}) {
      for (const size_t n : {65u, 1000u}) {
        expect_right({Comparison::relu_truncate, shift, parties, n + shift}, n);
        if (shift <= 16) expect_right({Comparison::low_bits, shift, parties, n + shift}, n);
      }
    }
  }
}

TEST(Comparison, NothingIsWrongInMany) {
  for (const Comparison mode : kModes) {
    expect_right({mode, truncates(mode) ? 16 : 0, 2, 9}, 100000);
  }
}

TEST(Comparison, TheRoundingDependsOnTheShares) {
  const Setting setting{Comparison::relu_truncate, 16, 2, 5};
  const Words x(1000, 1 << 15);  // half a unit
  size_t up = 0;
  for (const uint64_t y : compare(comparison_kernels(), isa(), setting, x).result()) up += y;
  EXPECT_GT(up, 400u);
  EXPECT_LT(up, 600u);
}

TEST(Comparison, NothingIsOpenedUnmasked) {
  // Opened bits of equal secrets are fair coins: a bit plane that is not masked would be constant.
  const Setting setting{Comparison::sign, 0, 2, 3};
  const size_t n = 4096;
  const Transcript t = compare(comparison_kernels(), isa(), setting, Words(n, 0));
  for (size_t round = 0; round < t.messages.size() / 2; ++round) {
    const Words &a = t.messages[2 * round], &b = t.messages[2 * round + 1];
    for (size_t at = 0; at + 64 <= a.size(); at += 64) {
      int ones = 0;
      for (size_t i = at; i < at + 64; ++i) {
        ones += __builtin_popcountll(round == 0 ? a[i] + b[i] : a[i] ^ b[i]);
      }
      // 4096 fair coins: 7 standard deviations.
      ASSERT_NEAR(ones, 2048, 224) << "round " << round << ", word " << at;
    }
  }
}

TEST(Comparison, InstructionSetsAgreeBitForBit) {
#if defined(__x86_64__)
  if (!supported(Isa::avx512)) GTEST_SKIP() << "this processor has no AVX-512";
  for (const size_t n : kSizes) {
    for (const Comparison mode : kModes) {
      for (const int shift : {1, 7, 16, 17, 28}) {
        if (!truncates(mode) && shift > 1) continue;
        if (mode == Comparison::low_bits && shift > 16) continue;
        const int parties = 2 + static_cast<int>(n % 3);
        const Setting setting{mode, truncates(mode) ? shift : 0, parties, n + shift};
        SCOPED_TRACE(text(setting, n));
        const Words x = inputs(n, mode, setting.seed);
        const Transcript narrow = compare(comparison_kernels_portable(), Isa::portable, setting, x);
        const Transcript wide = compare(comparison_kernels_avx512(), Isa::avx512, setting, x);
        ASSERT_EQ(narrow.messages, wide.messages);
        ASSERT_EQ(narrow.corrections, wide.corrections);
        ASSERT_TRUE(narrow == wide);
        ASSERT_EQ(count_wrong(narrow, setting, x), 0u);
      }
    }
  }
#else
  GTEST_SKIP() << "one instruction set only";
#endif
}

TEST(Comparison, AFlippedTableEntryIsNoticed) {
  Setting setting{Comparison::sign, 0, 2, 11};
  const size_t n = 512;
  const Words x = inputs(n, setting.mode, setting.seed);
  const Transcript clean = compare(comparison_kernels(), isa(), setting, x);
  ASSERT_EQ(count_wrong(clean, setting, x), 0u);
  for (const int chunk : {0, 7, 15}) {
    setting.tamper = [&](const ComparisonLayout& layout, uint8_t* corrections) {
      uint16_t* tables = reinterpret_cast<uint16_t*>(corrections + layout.tables);
      for (size_t i = 0; i < n; ++i) {
        const uint64_t opened = clean.messages[0][i] + clean.messages[1][i];
        const int entry = static_cast<int>(opened >> (4 * chunk) & (chunk == 15 ? 7 : 15));
        tables[32 * (layout.chunks * (i / 32) + chunk) + i % 32] ^= uint16_t{1} << entry;
      }
    };
    const size_t wrong = count_wrong(compare(comparison_kernels(), isa(), setting, x), setting, x);
    EXPECT_GT(wrong, n / 16) << "chunk " << chunk;
  }
}

TEST(Comparison, EveryCorrectedFieldMatters) {
  const size_t n = 512;
  for (const Comparison mode : kModes) {
    Setting setting{mode, truncates(mode) ? 16 : 0, 3, 12};
    const Words x = inputs(n, mode, setting.seed);
    const ComparisonLayout layout(n, mode, setting.shift);
    std::vector<size_t> fields{
        layout.level1,        layout.level2,          layout.bit_offset, layout.bit,
        layout.shifted,       layout.selected,        layout.tables,     layout.wrap,
        layout.selected_wrap, layout.correction_bytes};
    ASSERT_TRUE(std::is_sorted(fields.begin(), fields.end()));
    for (size_t f = 0; f + 1 < fields.size(); ++f) {
      if (fields[f] == fields[f + 1]) continue;
      setting.tamper = [&](const ComparisonLayout&, uint8_t* corrections) {
        for (size_t i = fields[f]; i < fields[f + 1]; ++i) corrections[i] ^= 0xff;
      };
      const Transcript t = compare(comparison_kernels(), isa(), setting, x);
      EXPECT_GT(count_wrong(t, setting, x), n / 16) << text(setting, n) << ", field " << f;
    }
  }
}

TEST(ComparisonLayout, MatchesTheDesignPerElement) {
  const size_t n = 512 * 40;
  const ComparisonLayout fused(n, Comparison::relu_truncate, 16), plain(n, Comparison::relu, 0);
  const ComparisonLayout sign(n, Comparison::sign, 0), wide(n, Comparison::relu_truncate, 17);
  EXPECT_EQ(4 * fused.opened_bytes(), 49 * n);  // 12.25 bytes
  const size_t bit = n / 8;
  EXPECT_EQ(fused.correction_bytes, 72 * n + bit);
  EXPECT_EQ(wide.correction_bytes, 76 * n + bit);
  EXPECT_EQ(plain.correction_bytes, 60 * n + bit);
  EXPECT_EQ(sign.correction_bytes, 52 * n + bit);
  EXPECT_EQ(fused.rounds(), 4);
  EXPECT_EQ(ComparisonLayout(n, Comparison::low_bits, 16).rounds(), 3);
}

}  // namespace
}  // namespace cryptensor::correlation
