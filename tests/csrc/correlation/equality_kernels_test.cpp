// SPDX-License-Identifier: MIT
#include "correlation/cpu/equality_kernels.h"

#include <gtest/gtest.h>

#include "parties_run.h"

namespace cryptensor::correlation {
namespace {

using testing_run::Dealing;
using testing_run::Parties;
using testing_run::Words;

constexpr size_t kSizes[] = {1, 63, 64, 65, 511, 512, 513, 1100};

struct Transcript {
  std::vector<uint8_t> corrections;
  std::vector<Words> messages, shares;
  Words result;
  bool operator==(const Transcript&) const = default;
};

Transcript equal_zero(const EqualityKernels& kernels, Isa isa, const Dealing& run, const Words& x) {
  const EqualityLayout layout(x.size());
  Parties parties(run, isa);
  parties.deal(layout.correction_bytes,
               [&](const crypto::Prg* const* prgs, Part part, uint8_t* out) {
                 kernels.deal(layout, prgs, parties.count(), part, out);
               });
  const std::vector<Words> shares = parties.shares_of(x);
  const auto share = [&](int p) {
    return EqualityShare{&layout, &parties.prg_of(p), parties.corrections_of(p), parties.part(p),
                         p == 0};
  };
  const auto pass = [&](auto kernel) {
    return [&, kernel](int p, const uint64_t* own, const uint64_t* others, uint64_t* to) {
      kernel(share(p), own, others, to);
    };
  };
  parties.round(layout.n, [&](int p, const uint64_t*, const uint64_t*, uint64_t* to) {
    kernels.mask(share(p), shares[p].data(), to);
  });
  parties.round(layout.words * layout.kOpened1, pass(kernels.pick));
  parties.round(layout.words * layout.kOpened2, pass(kernels.combine));
  Transcript out;
  out.result.resize(layout.n);
  for (int p = 0; p < parties.count(); ++p) {
    out.shares.emplace_back(layout.n);
    kernels.finish(share(p), parties.own(p), parties.others(p).data(), out.shares.back().data());
    testing_run::add_to(out.result, out.shares.back());
  }
  out.messages = std::move(parties.messages);
  const uint8_t* dealt = parties.corrections_of(parties.count() - 1);
  out.corrections.assign(dealt, dealt + layout.correction_bytes);
  return out;
}

Transcript run(const Dealing& setting, const Words& x) {
  return equal_zero(equality_kernels(), isa(), setting, x);
}

// Zeros, every single bit, and what differs from zero in a few chunks.
Words inputs(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  Words out(n);
  for (size_t i = 0; i < n; ++i) {
    switch ((i + seed) % 4) {
      case 0:
        break;
      case 1:
        out[i] = uint64_t{1} << random() % 64;
        break;
      case 2:
        out[i] = random() & random() & random() & random() & random();
        break;
      default:
        out[i] = uint64_t{15} << 4 * (random() % 16);
    }
  }
  return out;
}

size_t count_wrong(const Transcript& t, const Words& x) {
  size_t wrong = 0;
  for (size_t i = 0; i < x.size(); ++i) wrong += t.result[i] != (x[i] == 0 ? 1u : 0u);
  return wrong;
}

TEST(Equality, IsRightForEverySizeAndNumberOfParties) {
  uint64_t seed = 1;
  for (const size_t n : kSizes) {
    for (const int parties : {2, 3, 4}) {
      for (const bool spread : {false, true}) {
        const Words x = inputs(n, ++seed);
        ASSERT_EQ(count_wrong(run({parties, seed, spread}, x), x), 0u)
            << n << " elements, " << parties << " parties";
      }
    }
  }
}

TEST(Equality, EverySingleBitIsADifference) {
  Words x{0};
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t one = uint64_t{1} << bit;
    x.insert(x.end(), {one, -one, ~one, one - 1 + (bit == 0)});
  }
  for (uint64_t seed = 0; seed < 8; ++seed) {
    EXPECT_EQ(count_wrong(run({2, seed}, x), x), 0u);
    // Alone, so that no neighbour helps.
    const Words single{uint64_t{1} << (8 * seed + seed)};
    EXPECT_EQ(count_wrong(run({2, seed}, single), single), 0u);
  }
}

TEST(Equality, NothingIsOpenedUnmasked) {
  for (const uint64_t secret : {uint64_t{0}, ~uint64_t{0}}) {
    const Transcript t = run({2, 3}, Words(4096, secret));
    testing_run::each_biased_plane(t.messages, 2, [](size_t round, size_t at) {
      ADD_FAILURE() << "round " << round << ", word " << at;
    });
  }
}

TEST(Equality, InstructionSetsAgreeBitForBit) {
#if defined(__x86_64__)
  if (!supported(Isa::avx512)) GTEST_SKIP() << "this processor has no AVX-512";
  for (const size_t n : kSizes) {
    const Dealing setting{2 + static_cast<int>(n % 3), n, n % 2 == 0};
    const Words x = inputs(n, n);
    const auto narrow = equal_zero(equality_kernels_portable(), Isa::portable, setting, x);
    const auto wide = equal_zero(equality_kernels_avx512(), Isa::avx512, setting, x);
    ASSERT_EQ(narrow.messages, wide.messages);
    ASSERT_EQ(narrow.corrections, wide.corrections);
    ASSERT_TRUE(narrow == wide);
    ASSERT_EQ(count_wrong(narrow, x), 0u);
  }
#else
  GTEST_SKIP() << "one instruction set only";
#endif
}

TEST(Equality, EveryCorrectedFieldMatters) {
  const size_t n = 512;
  const Words x = inputs(n, 5);
  const EqualityLayout layout(n);
  std::vector<size_t> fields{0};
  for (int k = 0; k < layout.kValues; ++k) fields.push_back(layout.values + 8 * layout.padded * k);
  fields.insert(fields.end(), {layout.tables, layout.correction_bytes});
  for (size_t f = 0; f + 1 < fields.size(); ++f) {
    Dealing setting{3, 12};
    setting.tamper = [&](uint8_t* corrections) {
      for (size_t i = fields[f]; i < fields[f + 1]; ++i) corrections[i] ^= 0xff;
    };
    // One of the eight entries is read for an element.
    EXPECT_GT(count_wrong(run(setting, x), x), n / 32) << "field " << f;
  }
}

TEST(Equality, OneFlippedBitOfATableIsNoticed) {
  const size_t n = 512;
  const Words x(n, 0);
  const Transcript clean = run({2, 11}, x);
  for (int chunk = 0; chunk < 16; ++chunk) {
    Dealing setting{2, 11};
    const size_t i = 31 * chunk + 3;
    setting.tamper = [&](uint8_t* corrections) {
      auto* tables = reinterpret_cast<uint16_t*>(corrections + EqualityLayout(n).tables);
      const uint64_t opened = clean.messages[0][i] + clean.messages[1][i];
      tables[32 * (16 * (i / 32) + chunk) + i % 32] ^= uint16_t{1} << (opened >> (4 * chunk) & 15);
    };
    const Transcript t = run(setting, x);
    EXPECT_EQ(count_wrong(t, x), 1u) << "chunk " << chunk;
    EXPECT_EQ(t.result[i], 0u);
  }
}

TEST(EqualityLayout, MatchesTheDesignPerElement) {
  const size_t n = 512 * 40;
  const EqualityLayout layout(n);
  EXPECT_EQ(layout.opened_bytes(), 8 * n + 19 * n / 8);
  EXPECT_EQ(layout.correction_bytes, 96 * n + 109 * n / 8);
}

}  // namespace
}  // namespace cryptensor::correlation
