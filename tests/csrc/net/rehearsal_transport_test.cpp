// SPDX-License-Identifier: MIT
#include "net/rehearsal_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "core/errors.h"
#include "net/channel.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;

Message bytes(size_t size, uint8_t value) {
  Message message(size);
  std::memset(message.data(), value, size);
  return message;
}

bool holds(const Message& message, size_t size, uint8_t value) {
  return message.size() == size && std::all_of(message.data(), message.data() + size,
                                               [&](uint8_t byte) { return byte == value; });
}

struct Alone {
  Channel channel{std::make_shared<RehearsalTransport>(1, 3), 7, milliseconds(1000)};
};

TEST(RehearsalTransport, AnswersWithZerosOfTheExpectedLength) {
  Alone alone;
  Channel& channel = alone.channel;
  auto first = channel.receive(0, kPartyLane, Operation::matmul, DType::int64, 24);
  auto second = channel.receive(2, kPartyLane, Operation::compare, DType::bits, 8);
  channel.send(0, kPartyLane, Operation::matmul, DType::int64, bytes(24, 9));
  EXPECT_TRUE(holds(first->wait(), 24, 0));
  EXPECT_TRUE(holds(second->wait(), 8, 0));
  EXPECT_EQ(channel.counters(kPartyLane).payload_sent, 24u);
  EXPECT_EQ(channel.counters(kPartyLane).payload_received, 32u);
}

TEST(RehearsalTransport, AgreesWithItsOwnAnnouncement) {
  Alone alone;
  Channel& channel = alone.channel;
  auto answer = channel.receive_up_to(0, kPartyLane, Operation::announce, DType::bytes, 1000);
  auto hello = channel.receive(2, kPartyLane, Operation::handshake, DType::bytes, 16);
  channel.send(0, kPartyLane, Operation::announce, DType::bytes, bytes(40, 5));
  channel.send(2, kPartyLane, Operation::handshake, DType::bytes, bytes(16, 6));
  EXPECT_TRUE(holds(answer->wait(), 40, 5));
  EXPECT_TRUE(holds(hello->wait(), 16, 6));
}

}  // namespace
}  // namespace cryptensor::net
