// SPDX-License-Identifier: MIT
#include "core/errors.h"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

namespace cryptensor {
namespace {

template <class E>
class ErrorsTest : public testing::Test {};

using Kinds = testing::Types<RangeError, ShapeError, ConfigError, ProtocolError, PeerLost,
                             PeerTimeout, SetupError, EntropyError>;
TYPED_TEST_SUITE(ErrorsTest, Kinds);

TYPED_TEST(ErrorsTest, IsAnErrorThatCarriesItsMessage) {
  try {
    throw TypeParam("party is 3; allowed: 0 to 1");
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "party is 3; allowed: 0 to 1");
  }
}

TYPED_TEST(ErrorsTest, IsNoOtherKind) {
  EXPECT_EQ((std::is_base_of_v<PeerLost, TypeParam>), (std::is_same_v<PeerLost, TypeParam>));
  EXPECT_EQ((std::is_base_of_v<RangeError, TypeParam>), (std::is_same_v<RangeError, TypeParam>));
}

}  // namespace
}  // namespace cryptensor
