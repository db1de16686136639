// SPDX-License-Identifier: MIT
#include "net/message.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

TEST(Message, PayloadIsAlignedAndDirectlyBehindTheHeader) {
  for (size_t size : {0, 1, 63, 64, 1000, 100000}) {
    Message message(size);
    EXPECT_EQ(message.size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(message.data()) % 64, 0u);
    const uint8_t* payload = message.data();
    if (size > 0) std::memset(message.data(), 0xA5, size);
    const FrameHeader header{.sender = 1, .length = size};
    const auto frame = std::move(message).seal(header);
    EXPECT_EQ(frame->data() + kHeaderBytes, payload);
    EXPECT_EQ(check(frame->span(), header, LengthRule::exact), size);
  }
}

TEST(Message, MovesWithoutCopy) {
  Message first(128);
  first.as<uint64_t>()[3] = 77;
  const uint8_t* bytes = first.data();
  Message second(std::move(first));
  EXPECT_EQ(second.data(), bytes);
  EXPECT_EQ(std::as_const(second).as<uint64_t>()[3], 77u);
  EXPECT_FALSE(first);  // NOLINT: moved-from is empty by contract
  EXPECT_EQ(first.size(), 0u);
}

TEST(Message, EmptyOneCannotBeSent) { EXPECT_THROW(Message().seal({}), Error); }

TEST(Bytes, PrefixHoldsTheSize) {
  Bytes bytes(1000, 5000);
  EXPECT_EQ(bytes.size_in_prefix(), 1000u);
  EXPECT_EQ(bytes.capacity(), 5000u);
  bytes.resize(5000);
  EXPECT_EQ(bytes.size_in_prefix(), 5000u);
  EXPECT_EQ(bytes.size(), 5000u);
  bytes.resize(5001);
  EXPECT_EQ(bytes.size(), 5000u);
}

TEST(Bytes, HasRoomForOneByteTooMany) { EXPECT_EQ(Bytes(1000).capacity(), 1001u); }

}  // namespace
}  // namespace cryptensor::net
