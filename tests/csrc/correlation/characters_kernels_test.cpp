// SPDX-License-Identifier: MIT
// Series and powers of two, against long double, within the roundings of the kernels.
#include "correlation/cpu/characters_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "parties_run.h"

namespace cryptensor::correlation {
namespace {

using testing_run::Dealing;
using testing_run::Parties;
using testing_run::Words;

constexpr size_t kSizes[] = {1, 63, 64, 65, 511, 512, 513, 1100};
constexpr int kBits = 54;  // fraction bits of a series

struct Transcript {
  std::vector<uint8_t> corrections;
  std::vector<Words> messages, shares, results;
  bool operator==(const Transcript&) const = default;
};

struct Series {
  Harmonics shape;
  struct Form {
    int64_t constant;
    std::vector<int64_t> cosines, sines;
  };
  std::vector<Form> forms;

  // One form has both kinds, one cosines only, one sines only.
  static Series random(const Harmonics& shape, uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto draw = [&] { return static_cast<int64_t>(random()) >> 40; };
    Series out{shape, {}};
    for (int f = 0; f < 3; ++f) {
      Form form{static_cast<int64_t>(random()) >> 8, {}, {}};
      for (int h = 0; h < shape.count; ++h) {
        form.cosines.push_back(f == 2 ? 0 : draw());
        form.sines.push_back(f == 1 ? 0 : draw());
      }
      out.forms.push_back(form);
    }
    return out;
  }
};

// Opens x and hands every party's view to `evaluate`.
template <class Evaluate>
Transcript open(Parties& parties, const CharactersLayout& layout, const Words& x, size_t results,
                size_t bytes, const Evaluate& evaluate) {
  const std::vector<Words> shares = parties.shares_of(x);
  parties.round(layout.n, [&](int p, const uint64_t*, const uint64_t*, uint64_t* to) {
    parties.prg_of(p).fill(static_cast<uint64_t>(CharacterStream::mask), 0, to, 8 * layout.n);
    for (size_t i = 0; i < layout.n; ++i) to[i] += shares[p][i];
  });
  Words opened(layout.padded);
  for (const Words& m : parties.messages) {
    for (size_t i = 0; i < layout.n; ++i) opened[i] += m[i];
  }
  Transcript out;
  out.results.assign(results, Words(layout.n));
  for (int p = 0; p < parties.count(); ++p) {
    std::vector<Words> values(results, Words(layout.n));
    evaluate(CharactersShare{&layout, &parties.prg_of(p), parties.corrections_of(p),
                             parties.part(p), p == 0},
             opened.data(), values);
    for (size_t f = 0; f < results; ++f) {
      testing_run::add_to(out.results[f], values[f]);
      out.shares.push_back(std::move(values[f]));
    }
  }
  out.messages = parties.messages;
  const uint8_t* dealt = parties.corrections_of(parties.count() - 1);
  out.corrections.assign(dealt, dealt + bytes);
  return out;
}

Transcript run(const CharactersKernels& kernels, Isa isa, const Dealing& setting,
               const Series& series, const Words& x) {
  const CharactersLayout layout(x.size());
  const size_t bytes = layout.field_bytes() * series.shape.fields();
  Parties parties(setting, isa);
  parties.deal(bytes, [&](const crypto::Prg* const* prgs, Part part, uint8_t* out) {
    kernels.deal_harmonics(layout, series.shape, prgs, parties.count(), part, out);
  });
  return open(parties, layout, x, series.forms.size(), bytes,
              [&](const CharactersShare& share, const uint64_t* opened, auto& values) {
                std::vector<HarmonicForm> forms;
                for (size_t f = 0; f < values.size(); ++f) {
                  const auto& from = series.forms[f];
                  forms.push_back({from.constant, from.cosines, from.sines, values[f].data()});
                }
                kernels.harmonics(share, series.shape, opened, forms);
              });
}

// How far the n-th harmonic of one angle may be off, in units of 2^-30: see
// tests/conformance/rounding_noise.py.
double wave_error(int n) { return 5.14 * n + 0.71 * (n - 1); }

size_t count_wrong(const Transcript& t, const Series& series, const Words& x) {
  size_t wrong = 0;
  const Harmonics& shape = series.shape;
  for (size_t i = 0; i < x.size(); ++i) {
    const uint64_t rest = x[i] << (64 - shape.period_bits);
    const long double angle =
        2 * std::numbers::pi_v<long double> * std::ldexp(static_cast<long double>(rest), -64);
    for (size_t f = 0; f < series.forms.size(); ++f) {
      const auto& form = series.forms[f];
      long double value = std::ldexp(static_cast<long double>(form.constant), -kBits), bound = 0;
      for (int h = 0; h < shape.count; ++h) {
        const int n = shape.odd ? 2 * h + 1 : h + 1;
        const long double a =
            std::ldexp(static_cast<long double>(form.cosines[h]), kWaveBits - kBits);
        const long double b =
            std::ldexp(static_cast<long double>(form.sines[h]), kWaveBits - kBits);
        value += a * std::cos(n * angle) + b * std::sin(n * angle);
        // The wave of what is opened and that of the mask; the coefficients of the latter.
        bound += std::hypot(a, b) * 2 * wave_error(n) * 0x1p-30L + 0.71 * 0x1p-24L;
      }
      const long double got =
          std::ldexp(static_cast<long double>(static_cast<int64_t>(t.results[f][i])), -kBits);
      wrong += !(std::abs(got - value) <= bound * 1.001L);
    }
  }
  return wrong;
}

// The ends and quarters of the period, then anywhere.
Words angles(size_t n, int period_bits, uint64_t seed) {
  std::mt19937_64 random(seed);
  Words out(n);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t quarter = uint64_t{1} << std::max(period_bits - 2, 0);
    out[i] = (i + seed) % 3 == 0 ? quarter * (random() % 8) + random() % 3 - 1 : random();
  }
  return out;
}

TEST(Harmonics, AreRightForEveryPeriod) {
  for (int period = 1; period <= 64; ++period) {
    const bool odd = period % 2 == 0;
    const Series series =
        Series::random({static_cast<uint8_t>(period), 5, odd}, static_cast<uint64_t>(period));
    const Words x = angles(300, period, period);
    const Dealing setting{2 + period % 3, static_cast<uint64_t>(period), period % 4 == 1};
    EXPECT_EQ(count_wrong(run(characters_kernels(), isa(), setting, series, x), series, x), 0u)
        << "period 2^" << period;
  }
}

TEST(Harmonics, AreRightForEverySizeAndCount) {
  uint64_t seed = 1;
  for (const size_t n : kSizes) {
    for (const int count : {1, 2, 12, kMaxHarmonics}) {
      for (const bool odd : {false, true}) {
        ++seed;
        const Series series = Series::random({60, static_cast<uint8_t>(count), odd}, seed);
        const Words x = angles(n, 60, seed);
        const Dealing setting{2 + static_cast<int>(seed % 3), seed, seed % 4 < 2};
        ASSERT_EQ(count_wrong(run(characters_kernels(), isa(), setting, series, x), series, x), 0u)
            << n << " elements, " << count << " harmonics";
      }
    }
  }
}

TEST(Harmonics, OneFlippedBitOfEachFieldIsNoticed) {
  const Series series = Series::random({40, 3, false}, 7);
  const Words x = angles(65, 40, 7);
  const CharactersLayout layout(x.size());
  for (int field = 0; field < series.shape.fields(); ++field) {
    Dealing setting{3, 7};
    // Bit 20 of a cosine is 2^-10 of it.
    setting.tamper = [&](uint8_t* c) { c[layout.field_bytes() * field + 8 * 64 + 2] ^= 0x10; };
    const Transcript t = run(characters_kernels(), isa(), setting, series, x);
    EXPECT_GE(count_wrong(t, series, x), 1u) << "field " << field;
    EXPECT_LE(count_wrong(t, series, x), 3u) << "field " << field;  // one element, three forms
  }
}

struct Powers {
  Octaves shape;
  int lowest, split, low_bits, high_bits;
};

Transcript run(const CharactersKernels& kernels, Isa isa, const Dealing& setting,
               const Powers& powers, const Words& x) {
  const CharactersLayout layout(x.size());
  const size_t bytes = layout.field_bytes() * powers.shape.fields();
  Parties parties(setting, isa);
  parties.deal(bytes, [&](const crypto::Prg* const* prgs, Part part, uint8_t* out) {
    kernels.deal_octaves(layout, powers.shape, prgs, parties.count(), part, out);
  });
  return open(parties, layout, x, 2, bytes,
              [&](const CharactersShare& share, const uint64_t* opened, auto& values) {
                kernels.octaves(share, powers.shape, opened,
                                {powers.lowest, powers.split, powers.low_bits, powers.high_bits,
                                 values[0].data(), values[1].data()});
              });
}

size_t count_wrong(const Transcript& t, const Powers& powers, const Words& x) {
  const Octaves& shape = powers.shape;
  // Roundings of two mantissas, of the dealt entry, and of the factor at an entry of 2^scale.
  const long double relative = std::ldexp(0.5L, shape.step() - shape.scale) + 2 * 3.3L * 0x1p-30L;
  const long double absolute = std::ldexp(0.5L, shape.scale);
  size_t wrong = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    // Elements are what they are modulo all indices: these are counted from the lowest.
    const auto lowest = static_cast<uint64_t>(powers.lowest);
    const auto entries = static_cast<uint64_t>(shape.fields());
    const uint64_t place = ((x[i] >> shape.low_bits) - lowest) & (entries - 1);
    const int64_t index = powers.lowest + static_cast<int64_t>(place);
    const uint64_t rest = x[i] & ((uint64_t{1} << shape.low_bits) - 1);
    const long double octaves = static_cast<long double>(index) * shape.step() +
                                std::ldexp(static_cast<long double>(rest), -shape.fraction_bits);
    // x has the index of its own, or the opened value's is one more.
    bool right = false;
    for (const bool high : {index >= powers.split, index + 1 >= powers.split}) {
      const long double y = std::exp2(octaves + (high ? powers.high_bits : powers.low_bits));
      const auto got = static_cast<long double>(static_cast<int64_t>(t.results[high ? 1 : 0][i]));
      const uint64_t other = t.results[high ? 0 : 1][i];
      right |= std::abs(got - y) <= relative * y + absolute && other == 0;
    }
    wrong += !right;
  }
  return wrong;
}

// Within the octaves that the indices tell apart: one less than there are.
Words exponents(size_t n, const Powers& powers, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto entries = static_cast<uint64_t>(powers.shape.fields());
  const uint64_t step = uint64_t{1} << powers.shape.low_bits;
  Words out(n);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t place = static_cast<uint64_t>(powers.lowest) + random() % (entries - 1);
    const uint64_t within = i % 3 == 0 ? 0 : i % 3 == 1 ? step - 1 : random() & (step - 1);
    out[i] = place * step + within;
  }
  return out;
}

// Results of 2^20 at most; far below they are 0. Entries of 24 bits at least, so that a mantissa
// must be right to more than what a function needs.
Powers powers_of(int index_bits, int fraction_bits, int step_bits, int split = 1000) {
  const Octaves shape{
      static_cast<uint8_t>(fraction_bits), static_cast<uint8_t>(fraction_bits + step_bits),
      static_cast<uint8_t>(index_bits), static_cast<uint8_t>((1 << step_bits) + 24)};
  const int top = 20 >> step_bits;
  return {shape, top - shape.fields() + 1, split, 36, 16};
}

TEST(Octaves, AreRightForEveryWidthOfIndexAndStep) {
  uint64_t seed = 1;
  for (int index_bits = 1; index_bits <= 6; ++index_bits) {
    for (int step_bits = 0; step_bits <= 4; ++step_bits) {
      for (const int fraction_bits : {1, 16, 33, 50, 58}) {
        if (fraction_bits + step_bits + index_bits > 64) continue;
        ++seed;
        const Powers powers = powers_of(index_bits, fraction_bits, step_bits);
        const Words x = exponents(300, powers, seed);
        const Dealing setting{2 + static_cast<int>(seed % 3), seed, seed % 4 < 2};
        ASSERT_EQ(count_wrong(run(characters_kernels(), isa(), setting, powers, x), powers, x), 0u)
            << index_bits << " index bits, step " << (1 << step_bits) << ", fraction "
            << fraction_bits;
      }
    }
  }
}

TEST(Octaves, AreRightForEverySizeAndBeyondTheSplit) {
  for (const size_t n : kSizes) {
    // As the functions use them: from 2^-64 to 2^56, the upper ones with fewer fraction bits.
    const Powers wide{{54, 57, 4, 20}, -8, 3, 36, 6};
    const Powers narrow{{54, 57, 3, 22}, -5, 3, 44, 0};
    for (const Powers& powers : {wide, narrow}) {
      const Words x = exponents(n, powers, n);
      for (const bool spread : {false, true}) {
        const Dealing setting{2 + static_cast<int>(n % 3), n, spread};
        ASSERT_EQ(count_wrong(run(characters_kernels(), isa(), setting, powers, x), powers, x), 0u);
      }
    }
  }
}

TEST(Octaves, OneFlippedBitOfEachFieldIsNoticed) {
  const size_t n = 512;
  const Powers powers{{54, 57, 3, 22}, -2, 1000, 36, 0};
  const Words x(n, 0);
  for (int field = 0; field < powers.shape.fields(); ++field) {
    Dealing setting{2, 9};
    const CharactersLayout layout(n);
    setting.tamper = [&](uint8_t* c) {
      for (size_t i = 0; i < n; ++i) c[layout.field_bytes() * field + 8 * i + 2] ^= 0x10;
    };
    const Transcript t = run(characters_kernels(), isa(), setting, powers, x);
    // Not where the factor of that entry is so small that nothing is left of the bit.
    EXPECT_GT(count_wrong(t, powers, x), n / 8) << "field " << field;
  }
}

TEST(Characters, InstructionSetsAgreeBitForBit) {
#if defined(__x86_64__)
  if (!supported(Isa::avx512)) GTEST_SKIP() << "this processor has no AVX-512";
  const auto same = [](const auto& what, const Dealing& setting, const Words& x) {
    const auto narrow = run(characters_kernels_portable(), Isa::portable, setting, what, x);
    const auto wide = run(characters_kernels_avx512(), Isa::avx512, setting, what, x);
    ASSERT_EQ(narrow.corrections, wide.corrections);
    ASSERT_TRUE(narrow == wide);
    ASSERT_EQ(count_wrong(narrow, what, x), 0u);
  };
  for (const size_t n : kSizes) {
    const Dealing setting{2 + static_cast<int>(n % 3), n, n % 2 == 0};
    for (const int period : {1, 20, 52, 64}) {
      for (const int count : {1, 8, kMaxHarmonics}) {
        same(Series::random({static_cast<uint8_t>(period), static_cast<uint8_t>(count), n % 4 > 1},
                            n),
             setting, angles(n, period, n));
      }
    }
    for (const int index_bits : {1, 3, 6}) {
      const Powers powers = powers_of(index_bits, 48, 3, -1);
      same(powers, setting, exponents(n, powers, n));
    }
  }
#else
  GTEST_SKIP() << "one instruction set only";
#endif
}

}  // namespace
}  // namespace cryptensor::correlation
