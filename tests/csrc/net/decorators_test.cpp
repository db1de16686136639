// SPDX-License-Identifier: MIT
#include "net/decorators.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/errors.h"
#include "net/channel.h"
#include "net/memory_transport.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;
using Frame = std::shared_ptr<const Bytes>;
using Frames = FaultTransport::Frames;

constexpr milliseconds kLong{20000};

Message word(uint64_t value) {
  Message message(8);
  *message.as<uint64_t>() = value;
  return message;
}

void send(Channel& channel, uint64_t value) {
  channel.send(1 - channel.rank(), kPartyLane, Operation::test, DType::int64, word(value));
}

std::unique_ptr<Receive> receive(Channel& channel) {
  return channel.receive(1 - channel.rank(), kPartyLane, Operation::test, DType::int64, 8);
}

TEST(TraceTransport, KeepsEveryFrameThatWasSent) {
  MemoryHub hub(2);
  auto trace = std::make_shared<TraceTransport>(hub.transport(0));
  Channel a(trace, 1, kLong), b(hub.transport(1), 1, kLong);
  send(a, 0x55);
  a.send(1, kRequestLane, Operation::dealer_request, DType::bytes, Message(0));
  EXPECT_EQ(*receive(b)->wait().as<uint64_t>(), 0x55u);

  const std::vector<TraceTransport::Sent> frames = trace->frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].peer, 1);
  EXPECT_EQ(frames[0].lane, kPartyLane);
  EXPECT_EQ(frames[0].operation(), Operation::test);
  ASSERT_EQ(frames[0].frame.size(), kHeaderBytes + 8);
  EXPECT_EQ(frames[0].frame[kHeaderBytes], 0x55);
  EXPECT_EQ(frames[1].lane, kRequestLane);
  EXPECT_EQ(frames[1].operation(), Operation::dealer_request);
  trace->clear();
  EXPECT_TRUE(trace->frames().empty());
}

TEST(DelayTransport, DeliversInOrderAfterTheLatency) {
  constexpr uint64_t kMessages = 50;
  constexpr milliseconds kLatency{40};
  MemoryHub hub(2);
  auto slow = std::make_shared<DelayTransport>(hub.transport(0), kLatency);
  Channel a(slow, 1, kLong), b(hub.transport(1), 1, kLong);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Receive>> receives;
  for (uint64_t i = 0; i < kMessages; ++i) receives.push_back(receive(b));
  for (uint64_t i = 0; i < kMessages; ++i) send(a, i);
  for (uint64_t i = 0; i < kMessages; ++i) EXPECT_EQ(*receives[i]->wait().as<uint64_t>(), i);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, kLatency);
  EXPECT_LT(took, kLatency * kMessages / 2);  // one delay for all of them
  a.flush();
}

TEST(DelayTransport, FramesTakeTheirBytesTimeOneAfterAnother) {
  MemoryHub hub(3);
  auto slow = std::make_shared<DelayTransport>(hub.transport(0), milliseconds(1), 100e3);
  Channel a(slow, 1, kLong), b(hub.transport(1), 1, kLong), c(hub.transport(2), 1, kLong);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Receive>> receives;
  for (int i = 0; i < 4; ++i) receives.push_back(receive(b));
  auto other = c.receive(0, kPartyLane, Operation::test, DType::int64, 8);
  for (uint64_t i = 0; i < 4; ++i) send(a, i);
  a.send(2, kPartyLane, Operation::test, DType::int64, word(9));
  EXPECT_EQ(*other->wait().as<uint64_t>(), 9u) << "another peer's link is free";
  for (uint64_t i = 0; i < 4; ++i) EXPECT_EQ(*receives[i]->wait().as<uint64_t>(), i);
  // Four frames of 8 bytes and a header.
  const double seconds = 4 * (8 + static_cast<double>(kHeaderBytes)) / 100e3;
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::duration<double>(seconds));
  a.flush();
}

TEST(DelayTransport, ReportsWhatHappensOnTheWay) {
  MemoryHub hub(2);
  auto slow = std::make_shared<DelayTransport>(hub.transport(0), milliseconds(20));
  Channel a(slow, 1, kLong);
  send(a, 1);
  hub.abort(1);
  EXPECT_THROW(a.flush(), PeerLost);
}

TEST(DelayTransport, EndsWithFramesOnTheWay) {
  MemoryHub hub(2);
  auto slow = std::make_shared<DelayTransport>(hub.transport(0), std::chrono::hours(1));
  Channel a(slow, 1, milliseconds(20));
  send(a, 1);
  send(a, 2);
  EXPECT_THROW(a.flush(), PeerTimeout);
}

// What the receiver makes of three messages when the second one meets the fault.
struct FaultCase {
  const char* name;
  FaultTransport::Fault (*fault)();
  const char* second;  // part of the error, or empty where the second message arrives
  const char* third;
};

template <class Change>
FaultTransport::Fault on_second(Change change) {
  return [change, count = 0](int, int, Frame frame) mutable {
    return ++count == 2 ? change(frame) : Frames{frame};
  };
}

const FaultCase kFaults[] = {
    {"Drop", [] { return on_second([](const Frame&) { return Frames{}; }); },
     "'sequence' is 2, expected 1", "peer 0 did not answer"},
    {"Duplicate", [] { return on_second([](const Frame& f) { return Frames{f, f}; }); }, "",
     "'sequence' is 1, expected 2"},
    {"Reorder",
     []() -> FaultTransport::Fault {
       return [held = Frame(), count = 0](int, int, Frame frame) mutable {
         if (++count == 2) held = frame;
         if (count == 2) return Frames{};
         return count == 3 ? Frames{frame, held} : Frames{frame};
       };
     },
     "'sequence' is 2, expected 1", "'sequence' is 1, expected 2"},
    {"Short", [] { return on_second([](const Frame& f) { return Frames{resized(*f, 52)}; }); },
     "'payload' is 4 bytes, expected 8 bytes by its length", ""},
    {"HeaderCut", [] { return on_second([](const Frame& f) { return Frames{resized(*f, 47)}; }); },
     "'header' is 47 bytes, expected 48 bytes", ""},
    {"Nothing", [] { return on_second([](const Frame& f) { return Frames{resized(*f, 0)}; }); },
     "'header' is 0 bytes, expected 48 bytes", ""},
    {"Long", [] { return on_second([](const Frame& f) { return Frames{resized(*f, 57)}; }); },
     "'payload' is 9 bytes, expected 8 bytes by its length", ""},
    {"MuchTooLong",
     [] { return on_second([](const Frame& f) { return Frames{resized(*f, 1 << 20)}; }); },
     "'payload' is 9 bytes, expected 8 bytes by its length", ""},
    {"BitOfTheMagic",
     [] { return on_second([](const Frame& f) { return Frames{flipped(*f, 0)}; }); },
     "'magic' is 0x31465442, expected 0x31465443", ""},
    {"BitOfTheLength",
     [] { return on_second([](const Frame& f) { return Frames{flipped(*f, 8 * 32 + 60)}; }); },
     "'length' is 1152921504606846984, expected 8", ""},
};

class Fault : public testing::TestWithParam<FaultCase> {};

TEST_P(Fault, IsNamed) {
  MemoryHub hub(2);
  auto faulty = std::make_shared<FaultTransport>(hub.transport(0), GetParam().fault());
  Channel a(faulty, 1, kLong), b(hub.transport(1), 1, milliseconds(50));
  std::vector<std::unique_ptr<Receive>> receives;
  for (int i = 0; i < 3; ++i) receives.push_back(receive(b));
  for (uint64_t i = 0; i < 3; ++i) send(a, i);
  a.flush();
  const std::string parts[] = {"", GetParam().second, GetParam().third};
  for (uint64_t i = 0; i < 3; ++i) {
    try {
      EXPECT_EQ(*receives[i]->wait().as<uint64_t>(), i);
      EXPECT_EQ(parts[i], "") << "message " << i << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(parts[i], "") << error.what();
      EXPECT_NE(std::string(error.what()).find(parts[i]), std::string::npos) << error.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Fault, testing::ValuesIn(kFaults),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Decorators, CanBeStacked) {
  MemoryHub hub(2);
  auto trace = std::make_shared<TraceTransport>(
      std::make_shared<DelayTransport>(hub.transport(0), std::chrono::microseconds(100)));
  Channel a(trace, 1, kLong), b(hub.transport(1), 1, kLong);
  for (uint64_t i = 0; i < 10; ++i) {
    auto answer = receive(a), question = receive(b);
    send(a, i);
    const uint64_t value = *question->wait().as<uint64_t>();
    send(b, value + 1);
    EXPECT_EQ(*answer->wait().as<uint64_t>(), i + 1);
  }
  EXPECT_EQ(trace->frames().size(), 10u);
  trace->abort();
  EXPECT_THROW(receive(b)->wait(), PeerLost);
}

}  // namespace
}  // namespace cryptensor::net
