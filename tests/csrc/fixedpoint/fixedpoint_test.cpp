// SPDX-License-Identifier: MIT
#include "fixedpoint/fixedpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "core/errors.h"

namespace cryptensor::fixedpoint {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

int64_t encoded(double value, int precision) {
  return encode(at::full({}, value, at::kDouble), precision).item<int64_t>();
}

template <class E>
std::string refusal(const at::Tensor& values, int precision = 16) {
  try {
    encode(values, precision);
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Encode, RoundsHalfToEven) {
  const double ulp = std::ldexp(1.0, -16);
  for (const auto& [ulps, expected] : std::vector<std::pair<double, int64_t>>{{0.5, 0},
                                                                              {1.5, 2},
                                                                              {2.5, 2},
                                                                              {3.5, 4},
                                                                              {-0.5, 0},
                                                                              {-1.5, -2},
                                                                              {-2.5, -2},
                                                                              {0.5000001, 1},
                                                                              {0.4999999, 0},
                                                                              {-0.5000001, -1},
                                                                              {1.0, 1},
                                                                              {-1.0, -1},
                                                                              {0.0, 0}}) {
    EXPECT_EQ(encoded(ulps * ulp, 16), expected) << ulps;
  }
  EXPECT_EQ(encoded(-0.0, 16), 0);
  EXPECT_EQ(encoded(std::numeric_limits<double>::denorm_min(), 16), 0);
}

TEST(Encode, IsExactToHalfAnUlpAtEveryPrecision) {
  for (int precision = kMinPrecision; precision <= kMaxPrecision; ++precision) {
    for (const double value : {3.14159265358979, -2.71828182845905, 1e6 / 7, -1e-3, 12345.678}) {
      const double back = std::ldexp(static_cast<double>(encoded(value, precision)), -precision);
      EXPECT_LE(std::fabs(back - value), std::ldexp(1.0, -precision - 1)) << value;
    }
  }
}

TEST(Encode, TheBoundIsOpenAndExact) {
  for (const int precision : {8, 16, 24}) {
    const double limit = std::ldexp(1.0, kMagnitudeBits - precision);
    const double inside = std::nextafter(limit, 0.0);
    for (const double sign : {1.0, -1.0}) {
      EXPECT_EQ(encoded(sign * inside, precision),
                static_cast<int64_t>(std::ldexp(sign * inside, precision)));
      EXPECT_THROW(encoded(sign * limit, precision), RangeError);
      EXPECT_THROW(encoded(sign * 1e300, precision), RangeError);
    }
  }
}

TEST(Encode, RefusesWhatIsNotFinite) {
  for (const double bad : {kNan, -kNan, kInfinity, -kInfinity}) {
    EXPECT_THROW(encoded(bad, 16), RangeError);
    for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16}) {
      EXPECT_THROW(encode(at::full({3}, bad, type), 16), RangeError);
    }
  }
}

TEST(Encode, TheMessageNamesIndexValueAndRange) {
  at::Tensor values = at::zeros({2, 3, 4}, at::kDouble);
  values[1][2][3] = 1e15;
  values[1][0][2] = kNan;
  const std::string first = refusal<RangeError>(values);
  EXPECT_NE(first.find("[1, 0, 2]"), std::string::npos) << first;
  EXPECT_NE(first.find("nan"), std::string::npos) << first;
  EXPECT_NE(first.find("2^46"), std::string::npos) << first;
  EXPECT_NE(first.find("16 fraction bits"), std::string::npos) << first;
  EXPECT_NE(refusal<RangeError>(values[1][2]).find("index [3] is 1000000000000000"),
            std::string::npos);
  EXPECT_NE(refusal<RangeError>(at::full({}, kInfinity)).find("index [] is inf"),
            std::string::npos);
  EXPECT_NE(refusal<RangeError>(at::full({2, 2}, int64_t{1} << 50, at::kLong)).find("[0, 0]"),
            std::string::npos);
}

TEST(Encode, TheIndexOfAViewIsThatOfTheView) {
  at::Tensor values = at::zeros({3, 5}, at::kDouble);
  values[2][4] = kNan;
  EXPECT_NE(refusal<RangeError>(values.t()).find("[4, 2]"), std::string::npos);
}

TEST(Encode, TakesEveryRealType) {
  for (const auto type :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
        at::kChar, at::kByte, at::kUInt16, at::kUInt32, at::kUInt64}) {
    const at::Tensor out = encode(at::tensor({0, 1, 2, 100}).to(type), 16);
    EXPECT_TRUE(at::equal(out, at::tensor({0, 1, 2, 100}, at::kLong) * 65536)) << type;
  }
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong}) {
    EXPECT_EQ(encode(at::full({}, -3, type), 16).item<int64_t>(), -3 * 65536) << type;
  }
  const at::Tensor truth = at::tensor({1, 0, 1}).to(at::kBool);
  EXPECT_TRUE(at::equal(encode(truth, 8), at::tensor({256, 0, 256}, at::kLong)));
  EXPECT_EQ(encode(at::full({}, 0.5, at::kFloat8_e4m3fn), 16).item<int64_t>(), 32768);
}

TEST(Encode, IntegersKeepTheSameRange) {
  const int64_t limit = int64_t{1} << 46;
  EXPECT_EQ(encode(at::full({}, limit - 1, at::kLong), 16).item<int64_t>(), (limit - 1) * 65536);
  EXPECT_EQ(encode(at::full({}, 1 - limit, at::kLong), 16).item<int64_t>(), (1 - limit) * 65536);
  for (const int64_t bad :
       {limit, -limit, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    EXPECT_THROW(encode(at::full({}, bad, at::kLong), 16), RangeError) << bad;
  }
}

TEST(Encode, UnsignedIntegersDoNotWrap) {
  // As int64 these are -1 and the least number.
  for (const int64_t bits : {int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    const at::Tensor values = at::full({2}, bits, at::kLong).view(at::kUInt64);
    EXPECT_NE(refusal<RangeError>(values).find("index [0]"), std::string::npos) << bits;
  }
}

TEST(Encode, RefusesOtherTypesAndLayouts) {
  EXPECT_THROW(encode(at::Tensor(), 16), ConfigError);
  EXPECT_THROW(encode(at::zeros({2}, at::kComplexFloat), 16), ConfigError);
  EXPECT_THROW(encode(at::zeros({2}, at::kComplexDouble), 16), ConfigError);
  EXPECT_THROW(encode(at::zeros({2, 2}, at::kDouble).to_sparse(), 16), ConfigError);
  EXPECT_THROW(encode(at::empty({2}, at::TensorOptions(at::kMeta).dtype(at::kFloat)), 16),
               ConfigError);
  EXPECT_THROW(encode(at::empty({2}, at::kQInt8), 16), ConfigError);
  EXPECT_THROW(encode(at::empty({2}, at::TensorOptions().dtype(c10::kBits8)), 16), ConfigError);
  EXPECT_THROW(encode(at::empty({2}, at::TensorOptions().dtype(c10::kFloat4_e2m1fn_x2)), 16),
               ConfigError);
}

TEST(Encode, ViewsGiveTheirElementsInOrder) {
  const at::Tensor matrix = at::tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0}).view({2, 3});
  const at::Tensor turned = encode(matrix.t(), 8);
  EXPECT_TRUE(turned.is_contiguous());
  EXPECT_TRUE(at::equal(turned, encode(matrix, 8).t()));
  EXPECT_TRUE(at::equal(encode(matrix.slice(1, 1), 8), encode(matrix, 8).slice(1, 1)));
  EXPECT_TRUE(at::equal(encode(matrix[0].expand({4, 3}), 8), encode(matrix, 8)[0].expand({4, 3})));
}

TEST(Encode, AViewWithTheSignBitLazyIsResolved) {
  const at::Tensor negated = at::_neg_view(at::tensor({1.0, -2.0}));
  EXPECT_TRUE(at::equal(encode(negated, 8), at::tensor({-256, 512}, at::kLong)));
}

TEST(Encode, ShapesOfAllKinds) {
  for (const auto& sizes : std::vector<std::vector<int64_t>>{{}, {0}, {2, 0, 3}, {1, 1, 4}}) {
    EXPECT_EQ(encode(at::zeros(sizes, at::kFloat), 16).sizes().vec(), sizes);
    EXPECT_EQ(decode(at::zeros(sizes, at::kLong), 16).sizes().vec(), sizes);
  }
}

TEST(Decode, UndoesEncodeExactly) {
  const at::Tensor elements = at::tensor({int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{65536},
                                          (int64_t{1} << 53) - 1, -(int64_t{1} << 53) + 1});
  const at::Tensor values = decode(elements, 16);
  EXPECT_EQ(values.scalar_type(), at::kDouble);
  EXPECT_TRUE(at::equal(encode(values, 16), elements));
  EXPECT_EQ(values[1].item<double>(), std::ldexp(1.0, -16));
  EXPECT_TRUE(at::equal(decode(elements.view({2, 3}).t(), 16), values.view({2, 3}).t()));
  EXPECT_EQ(decode(elements, 0)[3].item<double>(), 65536.0);
}

TEST(Precision, IsBounded) {
  for (const int good : {8, 16, 24}) EXPECT_NO_THROW(check_precision(good));
  for (const int bad : {7, 25, 0, -1, 64}) EXPECT_THROW(check_precision(bad), ConfigError) << bad;
}

TEST(EncodeScalar, UsesTheFewestFractionBits) {
  for (const auto& [value, mantissa, shift] :
       std::vector<std::tuple<double, int64_t, int>>{{0.0, 0, 0},
                                                     {1.0, 1, 0},
                                                     {-3.0, -3, 0},
                                                     {0.5, 1, 1},
                                                     {-0.75, -3, 2},
                                                     {1024.0, 1024, 0},
                                                     {1.0 / 65536, 1, 16},
                                                     {3.0 / 32768, 3, 15},
                                                     {1e12, 1000000000000, 0}}) {
    const Scalar scalar = encode_scalar(value, 16);
    EXPECT_EQ(scalar.mantissa, mantissa) << value;
    EXPECT_EQ(scalar.shift, shift) << value;
  }
}

TEST(EncodeScalar, RoundsHalfToEvenAtTheLimit) {
  EXPECT_EQ(encode_scalar(1.0 / 3, 16).mantissa, 21845);
  EXPECT_EQ(encode_scalar(1.0 / 3, 16).shift, 16);
  EXPECT_EQ(encode_scalar(0.5 / 65536, 16).mantissa, 0);
  EXPECT_EQ(encode_scalar(1.5 / 65536, 16).mantissa, 2);
  EXPECT_EQ(encode_scalar(2.5 / 65536, 16).mantissa, 2);
  EXPECT_EQ(encode_scalar(1e-30, 16).mantissa, 0);
}

TEST(EncodeScalar, RefusesWhatDoesNotFit) {
  const double limit = std::ldexp(1.0, 46);
  EXPECT_NO_THROW(encode_scalar(std::nextafter(limit, 0.0), 16));
  for (const double bad : {limit, -limit, kNan, kInfinity, -kInfinity, 1e300}) {
    EXPECT_THROW(encode_scalar(bad, 16), RangeError) << bad;
  }
}

}  // namespace
}  // namespace cryptensor::fixedpoint
