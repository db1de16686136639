// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <limits>

#include "core/errors.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

// Elements that an off-by-one would get wrong, repeated to `n`; `bits` bounds the magnitude.
at::Tensor edges(int64_t n, int bits) {
  std::vector<int64_t> values;
  for (const int bit : {0, 1, 15, 16, 17, 31, 32, 47, 60, 61, 62}) {
    for (const int64_t v : {(int64_t{1} << bit) - 1, int64_t{1} << bit, (int64_t{1} << bit) + 1}) {
      if (v < (int64_t{1} << bits) - 1) values.insert(values.end(), {v, -v});
    }
  }
  values.insert(values.end(), {(int64_t{1} << bits) - 1, 1 - (int64_t{1} << bits)});
  std::mt19937_64 random(4);
  at::Tensor out = at::empty({n}, at::kLong);
  for (int64_t i = 0; i < n; ++i) {
    const size_t at = i % (2 * values.size());
    out.data_ptr<int64_t>()[i] =
        at < values.size() ? values[at] : static_cast<int64_t>(random()) >> (64 - bits);
  }
  return out;
}

constexpr int64_t kSizes[] = {0, 1, 63, 64, 65, 512, 1000};

// Without a truncation the comparison is right on the whole ring.
at::Tensor extremes() {
  return at::tensor({std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()},
                    at::kLong);
}

class Comparisons : public testing::TestWithParam<Settings> {};
INSTANTIATE_TEST_SUITE_P(Sessions, Comparisons, testing::ValuesIn(all_settings()),
                         [](const auto& info) {
                           return std::to_string(info.param.parties) + "_" +
                                  (info.param.third_party ? "third_party" : "first_party");
                         });

TEST_P(Comparisons, AtLeastZeroIsRightEverywhere) {
  expect_conforms(GetParam(), [](Engine& e) {
    Secrets out;
    for (const int64_t n : kSizes) out.push_back(e.at_least_zero(shared(e, edges(n, 62))));
    out.push_back(e.at_least_zero(shared(e, extremes())));
    for (const Holder holder : kHolders) {
      out.push_back(e.at_least_zero(operand(e, edges(100, 62), 16, holder)));
    }
    return out;
  });
}

TEST_P(Comparisons, ReluIsExact) {
  expect_conforms(GetParam(), [](Engine& e) {
    Secrets out;
    for (const int64_t n : kSizes) {
      std::optional<Secret> sign;
      out.push_back(e.relu(shared(e, edges(n, 62)), &sign));
      out.push_back(*sign);
    }
    out.push_back(e.relu(shared(e, extremes())));
    for (const Holder holder : kHolders) {
      std::optional<Secret> sign;
      out.push_back(e.relu(operand(e, edges(100, 62), 16, holder), &sign));
      out.push_back(*sign);
    }
    return out;
  });
}

TEST_P(Comparisons, ReluTruncatesInTheSameRounds) {
  expect_conforms(GetParam(),
                  [](Engine& e) {
                    Secrets out;
                    for (const int64_t n : kSizes)
                      out.push_back(e.relu(shared(e, edges(n, 62), 32)));
                    for (const int bits : {17, 24, 28, 36, 48}) {
                      out.push_back(e.relu(shared(e, edges(70, 62), bits)));
                    }
                    for (const Holder holder : kHolders) {
                      out.push_back(e.relu(operand(e, edges(100, 62), 32, holder)));
                    }
                    return out;
                  },
                  {0, 1});
  expect_conforms(GetParam(), [](Engine& e) {
    std::optional<Secret> sign;
    const Secret y = e.relu(shared(e, edges(300, 62), 32), &sign);
    // Negative elements and their signs are exact all the same.
    const Secret negative = e.subtract(e.encode_public(at::ones({}, at::kLong)), *sign);
    return Secrets{*sign, e.product(kMultiply, y, negative)};
  });
}

TEST_P(Comparisons, MaximaAreExact) {
  const at::Tensor a = edges(300, 61), b = edges(300, 61).flip(0), c = edges(1, 61);
  expect_conforms(GetParam(), [&](Engine& e) {
    Secrets out;
    for (const Holder left : kHolders) {
      for (const Holder right : kHolders) {
        const Secret x = operand(e, a, 16, left, 10), y = operand(e, b, 16, right, 20);
        out.push_back(e.maximum(x, y));
        out.push_back(e.maximum(x, e.negate(x)));
        out.push_back(e.maximum(x, operand(e, c, 16, right, 30)));
      }
    }
    return out;
  });
}

TEST_P(Comparisons, ViewsAndEdgeShapes) {
  const at::Tensor x = edges(15 * 20, 62).view({15, 20});
  expect_conforms(GetParam(), [&](Engine& e) {
    Secrets out;
    const Secret s = shared(e, x);
    for (const at::Tensor& view :
         {s.share().t(), s.share().slice(1, 3, 20, 4), s.share()[5].expand({3, 20}),
          s.share()[2][3], s.share().slice(0, 0, 0)}) {
      out.push_back(e.relu(s.rearranged(view)));
      out.push_back(e.at_least_zero(s.rearranged(view)));
    }
    return out;
  });
}

TEST_P(Comparisons, AComparedValueIsNotChanged) {
  const at::Tensor x = edges(100, 62);
  expect_conforms(GetParam(), [&](Engine& e) {
    const Secret s = shared(e, x);
    e.relu(s);
    e.at_least_zero(s);
    e.square(s);
    return Secrets{s, e.negate(s)};
  });
}

}  // namespace
}  // namespace cryptensor::protocol
