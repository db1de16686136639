// SPDX-License-Identifier: MIT
#include "ring/bilinear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "core/errors.h"

namespace cryptensor::ring {
namespace {

using Sizes = std::vector<int64_t>;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

const BilinearMap kMultiply{Bilinear::multiply, {}};
const BilinearMap kMatmul{Bilinear::matmul, {}};

BilinearMap convolution(Sizes stride, Sizes padding, Sizes dilation, int64_t groups = 1) {
  return {Bilinear::convolution,
          {std::move(stride), std::move(padding), std::move(dilation), groups}};
}

// Over the whole ring, so that every product wraps.
at::Tensor random(const Sizes& sizes) { return at::randint(kMin, kMax, sizes, at::kLong); }

int64_t times(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
int64_t plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// Shape and result agree, and the result distributes over shares of either operand.
void check(const BilinearMap& map, const Sizes& left, const Sizes& right, const Sizes& expected) {
  SCOPED_TRACE(testing::PrintToString(left) + " and " + testing::PrintToString(right));
  ASSERT_EQ(map.output_sizes(left, right), expected);
  const at::Tensor a = random(left), b = random(right), r = random(left), s = random(right);
  const at::Tensor whole = map(a, b);
  ASSERT_EQ(whole.sizes().vec(), expected);
  ASSERT_EQ(whole.scalar_type(), at::kLong);
  EXPECT_TRUE(at::equal(map(a - r, b) + map(r, b), whole));
  EXPECT_TRUE(at::equal(map(a, b - s) + map(a, s), whole));
}

template <class Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Bilinear, MultiplyWraps) {
  const at::Tensor a = at::tensor({kMax, kMin, int64_t{-1}, int64_t{1} << 32});
  const at::Tensor b = at::tensor({int64_t{2}, int64_t{-1}, kMax, int64_t{1} << 32});
  EXPECT_TRUE(at::equal(kMultiply(a, b), at::tensor({int64_t{-2}, kMin, -kMax, int64_t{0}})));
}

TEST(Bilinear, MultiplyBroadcasts) {
  check(kMultiply, {}, {}, {});
  check(kMultiply, {3}, {}, {3});
  check(kMultiply, {4, 1, 3}, {2, 1}, {4, 2, 3});
  check(kMultiply, {0, 3}, {1, 3}, {0, 3});
  check(kMultiply, {1}, {0}, {0});
}

TEST(Bilinear, MatmulMatchesItsDefinition) {
  const at::Tensor a = random({3, 5}), b = random({5, 2});
  const at::Tensor out = kMatmul(a, b);
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      int64_t sum = 0;
      for (int64_t k = 0; k < 5; ++k) {
        sum = plus(sum, times(a[i][k].item<int64_t>(), b[k][j].item<int64_t>()));
      }
      EXPECT_EQ(out[i][j].item<int64_t>(), sum);
    }
  }
}

TEST(Bilinear, MatmulTakesEveryRank) {
  check(kMatmul, {5}, {5}, {});
  check(kMatmul, {5}, {5, 3}, {3});
  check(kMatmul, {2, 5}, {5}, {2});
  check(kMatmul, {2, 5}, {5, 3}, {2, 3});
  check(kMatmul, {4, 2, 5}, {5, 3}, {4, 2, 3});
  check(kMatmul, {4, 1, 2, 5}, {3, 5, 6}, {4, 3, 2, 6});
  check(kMatmul, {5}, {4, 5, 3}, {4, 3});
}

TEST(Bilinear, MatmulOfNothing) {
  check(kMatmul, {0, 5}, {5, 3}, {0, 3});
  check(kMatmul, {2, 0}, {0, 3}, {2, 3});
  EXPECT_TRUE(at::equal(kMatmul(random({2, 0}), random({0, 3})), at::zeros({2, 3}, at::kLong)));
}

TEST(Bilinear, ConvolutionMatchesItsDefinition) {
  const int64_t stride = 2, padding = 1, dilation = 2;
  const BilinearMap map = convolution({stride, 1}, {padding, 0}, {dilation, 1});
  const at::Tensor x = random({2, 3, 7, 4}), w = random({5, 3, 3, 2});
  const at::Tensor out = map(x, w);
  ASSERT_EQ(out.sizes().vec(), map.output_sizes(x.sizes(), w.sizes()));
  for (int64_t n = 0; n < out.size(0); ++n) {
    for (int64_t o = 0; o < out.size(1); ++o) {
      for (int64_t i = 0; i < out.size(2); ++i) {
        for (int64_t j = 0; j < out.size(3); ++j) {
          int64_t sum = 0;
          for (int64_t c = 0; c < 3; ++c) {
            for (int64_t a = 0; a < 3; ++a) {
              const int64_t row = i * stride - padding + a * dilation;
              if (row < 0 || row >= 7) continue;
              for (int64_t b = 0; b < 2; ++b) {
                sum = plus(
                    sum, times(x[n][c][row][j + b].item<int64_t>(), w[o][c][a][b].item<int64_t>()));
              }
            }
          }
          ASSERT_EQ(out[n][o][i][j].item<int64_t>(), sum) << n << o << i << j;
        }
      }
    }
  }
}

TEST(Bilinear, ConvolutionShapes) {
  check(convolution({1}, {0}, {1}), {2, 3, 8}, {4, 3, 3}, {2, 4, 6});
  check(convolution({2}, {1}, {2}), {2, 3, 8}, {4, 3, 3}, {2, 4, 3});
  check(convolution({1, 1}, {1, 1}, {1, 1}), {1, 1, 5, 5}, {1, 1, 3, 3}, {1, 1, 5, 5});
  check(convolution({1, 1}, {0, 0}, {1, 1}, 4), {2, 4, 6, 6}, {8, 1, 3, 3}, {2, 8, 4, 4});
  check(convolution({3, 2}, {2, 0}, {1, 1}, 2), {1, 6, 9, 7}, {4, 3, 4, 1}, {1, 4, 4, 4});
  check(convolution({1, 1}, {0, 0}, {1, 1}), {0, 3, 5, 5}, {2, 3, 3, 3}, {0, 2, 3, 3});
}

TEST(Bilinear, OperandsMayBeViews) {
  const at::Tensor a = random({6, 4}), b = random({3, 6});
  EXPECT_TRUE(at::equal(kMatmul(a.t(), b.t()), kMatmul(a.t().contiguous(), b.t().contiguous())));
  const at::Tensor row = random({4}).expand({3, 4}), columns = random({4, 3}).t();
  EXPECT_TRUE(at::equal(kMultiply(row, columns), kMultiply(row.contiguous(), columns)));
}

TEST(Bilinear, RefusesShapesThatDoNotFit) {
  EXPECT_NE(refusal([] { kMultiply.output_sizes({2, 3}, {4, 3}); }).find("[2, 3] and [4, 3]"),
            std::string::npos);
  EXPECT_THROW(kMultiply.output_sizes({0}, {2}), ShapeError);
  const std::pair<Sizes, Sizes> kMatrices[] = {
      {{}, {3}}, {{3}, {}}, {{2, 3}, {4, 2}}, {{3}, {4}}, {{2, 4, 3}, {3, 3, 2}}};
  for (const auto& [left, right] : kMatrices) {
    EXPECT_THROW(kMatmul.output_sizes(left, right), ShapeError) << testing::PrintToString(left);
  }
}

TEST(Bilinear, RefusesConvolutionsThatDoNotFit) {
  const Sizes x{1, 2, 5, 5}, w{4, 2, 3, 3};
  const auto plain = [](int64_t stride, int64_t padding, int64_t dilation, int64_t groups) {
    return convolution({stride, 1}, {padding, 0}, {dilation, 1}, groups);
  };
  EXPECT_NO_THROW(plain(1, 0, 1, 1).output_sizes(x, w));
  EXPECT_THROW(plain(0, 0, 1, 1).output_sizes(x, w), ShapeError);
  EXPECT_THROW(plain(1, -1, 1, 1).output_sizes(x, w), ShapeError);
  EXPECT_THROW(plain(1, 0, 0, 1).output_sizes(x, w), ShapeError);
  EXPECT_THROW(plain(1, 0, 3, 1).output_sizes(x, w), ShapeError) << "the kernel covers 7 rows";
  EXPECT_THROW(plain(1, 9, 1, 1).output_sizes({1, 2, 0, 5}, w), ShapeError) << "only padding";
  EXPECT_THROW(plain(1, 0, 1, 1).output_sizes(x, {4, 2, 0, 3}), ShapeError);
  EXPECT_THROW(plain(1, 0, 1, 2).output_sizes(x, w), ShapeError);
  EXPECT_THROW(plain(1, 0, 1, 0).output_sizes(x, w), ShapeError);
  EXPECT_THROW(plain(1, 0, 1, 2).output_sizes(x, {3, 1, 3, 3}), ShapeError);
  EXPECT_THROW(plain(1, 0, 1, 1).output_sizes(x, {4, 2, 3}), ShapeError);
  EXPECT_THROW(plain(1, 0, 1, 1).output_sizes({2, 5, 5}, w), ShapeError);
  EXPECT_THROW(convolution({}, {}, {}).output_sizes({1, 2}, {4, 2}), ShapeError);
  EXPECT_THROW(
      convolution({1, 1, 1}, {0, 0, 0}, {1, 1, 1}).output_sizes({1, 2, 5, 5, 5}, {4, 2, 3, 3, 3}),
      ShapeError);
  EXPECT_THROW(convolution({1, 1}, {0}, {1, 1}).output_sizes(x, w), ShapeError);
}

}  // namespace
}  // namespace cryptensor::ring
