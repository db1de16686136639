// SPDX-License-Identifier: MIT
// Functions of one opening, against the oracle.
#include <gtest/gtest.h>

#include "core/errors.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

constexpr int64_t kEnd = int64_t{1} << 62;
constexpr int64_t kSizes[] = {0, 1, 63, 64, 65, 511, 512, 513, 1100};

class Functions : public testing::TestWithParam<Settings> {};
INSTANTIATE_TEST_SUITE_P(Sessions, Functions, testing::ValuesIn(all_settings()),
                         [](const auto& info) {
                           return std::to_string(info.param.parties) + "_" +
                                  (info.param.third_party ? "third_party" : "first_party");
                         });

Piecewise pieces(std::vector<int64_t> thresholds, int degree, int outputs = 2) {
  Piecewise form{std::move(thresholds), degree, {}};
  std::mt19937_64 random(degree + form.thresholds.size());
  for (int o = 0; o < outputs; ++o) {
    std::vector<int64_t> coefficients((form.thresholds.size() + 1) * (degree + 1));
    for (int64_t& c : coefficients) c = static_cast<int64_t>(random());
    form.outputs.push_back({3 * o, std::move(coefficients)});
  }
  return form;
}

// At each threshold and one unit beside, then anything below 2^62, repeated to n.
at::Tensor around(const std::vector<int64_t>& thresholds, int64_t n) {
  std::vector<int64_t> edges{0, 1 - kEnd, kEnd - 1};
  for (const int64_t t : thresholds) {
    for (const int64_t v : {t - 1, t, t + 1}) {
      if (-kEnd < v && v < kEnd) edges.push_back(v);
    }
  }
  const at::Tensor out = draw({n}, n, 62);
  for (int64_t i = 0; i < n; ++i) {
    const size_t at = i % (2 * edges.size());
    if (at < edges.size()) out.data_ptr<int64_t>()[i] = edges[at];
  }
  return out;
}

TEST_P(Functions, PiecewisePolynomialsAreExact) {
  std::vector<int64_t> many;
  for (int j = 0; j < correlation::kMaxThresholds; ++j) {
    many.push_back((j - 16) * ((int64_t{1} << 57) + 65537));
  }
  const std::vector<int64_t> lists[] = {
      {0},          {-1}, {1 - kEnd, kEnd - 1}, {-kEnd, 0, kEnd}, {-2, -1, 0, 1, 2}, {65536},
      {-5, 131067}, many,
  };
  expect_conforms(GetParam(), [&](Engine& e) {
    Secrets out;
    for (const auto& list : lists) {
      for (int degree = 0; degree <= correlation::kMaxDegree; ++degree) {
        for (Secret& s : e.piecewise(shared(e, around(list, 200)), pieces(list, degree))) {
          out.push_back(s);
        }
      }
    }
    for (const int64_t n : kSizes) {
      for (Secret& s : e.piecewise(shared(e, around({-3, 9}, n)), pieces({-3, 9}, 1))) {
        out.push_back(s);
      }
    }
    for (const Holder holder : kHolders) {
      const Secret x = operand(e, around({-3, 9}, 60).reshape({5, 12}).t(), 16, holder);
      for (Secret& s : e.piecewise(x, pieces({-3, 9}, 3, correlation::kMaxForms))) {
        out.push_back(s);
      }
    }
    return out;
  });
}

TEST(Function, FormsThatCannotBeEvaluatedAreRefused) {
  run({}, [](Engine& e) {
    const Secret x = shared(e, draw({3}, 1, 20));
    EXPECT_THROW(e.piecewise(x, pieces({}, 1)), ConfigError);
    EXPECT_THROW(e.piecewise(x, pieces(std::vector<int64_t>(33), 1)), ConfigError);
    EXPECT_THROW(e.piecewise(x, pieces({1, 1}, 1)), ConfigError);
    EXPECT_THROW(e.piecewise(x, pieces({2, 1}, 1)), ConfigError);
    EXPECT_THROW(e.piecewise(x, pieces({1}, 4)), ConfigError);
    EXPECT_THROW(e.piecewise(x, pieces({1}, -1, 0)), ConfigError);
    EXPECT_THROW(e.piecewise(x, pieces({1}, 1, 0)), ConfigError);
    EXPECT_THROW(e.piecewise(x, pieces({1}, 1, correlation::kMaxForms + 1)), ConfigError);
    Piecewise form = pieces({1}, 1);
    form.outputs[0].coefficients.pop_back();
    EXPECT_THROW(e.piecewise(x, form), ConfigError);
  });
}

// Of 54 fraction bits, the last 24 are those of products of 2^30: one harmonic here costs two
// roundings of 2^30, three waves that are off by 6 units of 2^-30 for each harmonic.
constexpr int64_t kOneWave = (int64_t{1} << 31) + 3 * 6 * (int64_t{1} << 24);

TEST_P(Functions, SeriesOfEveryPeriod) {
  for (const bool odd : {false, true}) {
    expect_conforms(
        GetParam(),
        [&](Engine& e) {
          Secrets out;
          for (int period = 1; period <= 64; ++period) {
            const correlation::Harmonics shape{static_cast<uint8_t>(period), 3, odd};
            const Series form{shape,
                              {{54, 5, {1 << 23, 0, 1 << 22}, {0, 1 << 22, 1 << 22}},
                               {54, -kEnd, {0, 0, 0}, {1 << 23, 1 << 23, 0}}}};
            const int64_t n = kSizes[period % 9];
            for (Secret& s : e.series(shared(e, draw({n}, period)), form)) out.push_back(s);
          }
          return out;
        },
        // The coefficients' lengths are at most 1/2, the harmonics 5 at most: 15 such waves.
        {-15 * kOneWave, 15 * kOneWave});
  }
}

TEST_P(Functions, PowersOfTwoBothSidesOfTheSplit) {
  const PowerOfTwo form{{54, 57, 4, 20}, -8, 2, 36, 16};
  const Program program = [&](Engine& e) {
    Secrets out;
    for (const int64_t n : kSizes) {
      const auto [low, high] = e.power_of_two(shared(e, draw({n}, n + 1, 60), 54), form);
      out.insert(out.end(), {low, high});
    }
    return out;
  };
  const Outcome actual = run_additive(GetParam(), program);
  const Outcome oracle = run_plaintext({}, program);
  // A result is in one of the two, of which the mask has a say. In units of 2^-36.
  const auto value = [](const Outcome& from, size_t i) {
    const at::Tensor low = from.values[i].to(at::kDouble),
                     high = from.values[i + 1].to(at::kDouble);
    EXPECT_TRUE(at::eq(at::mul(low, high), 0).all().item<bool>());
    return low + high * 0x1p20;
  };
  for (size_t i = 0; i < actual.values.size(); i += 2) {
    const at::Tensor got = value(actual, i), wanted = value(oracle, i);
    // The dealt entry has 12 bits at least; its factor is rounded to 1 over it, on either side,
    // which is 2^20 of a low result and 2^40 of a high one, from 2^44 on.
    const at::Tensor bound =
        wanted * 0x1.01p-13 + 0x1p20 + at::where(at::ge(wanted, 0x1p43), 0x1p40, 0.0);
    EXPECT_TRUE(at::le((got - wanted).abs(), bound).all().item<bool>()) << "result " << i;
  }
}

}  // namespace
}  // namespace cryptensor::protocol
