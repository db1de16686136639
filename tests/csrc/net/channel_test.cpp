// SPDX-License-Identifier: MIT
#include "net/channel.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"
#include "net/memory_transport.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{20000};
constexpr uint64_t kSession = 0xABC;

struct Pair {
  explicit Pair(milliseconds timeout = kLong)
      : a(hub.transport(0), kSession, timeout), b(hub.transport(1), kSession, timeout) {}
  MemoryHub hub{2};
  Channel a;
  Channel b;
};

Message counting(size_t words, uint64_t first) {
  Message message(8 * words);
  std::iota(message.as<uint64_t>(), message.as<uint64_t>() + words, first);
  return message;
}

void send_words(Channel& channel, int peer, size_t words, uint64_t first = 0) {
  channel.send(peer, kPartyLane, Operation::test, DType::int64, counting(words, first));
}

std::unique_ptr<Receive> receive_words(Channel& channel, int peer, size_t words) {
  return channel.receive(peer, kPartyLane, Operation::test, DType::int64, 8 * words);
}

template <class E, class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Channel, KnowsItsPlace) {
  Pair p;
  EXPECT_EQ(p.b.rank(), 1);
  EXPECT_EQ(p.b.size(), 2);
}

TEST(Channel, DeliversPayloads) {
  Pair p;
  for (const size_t words : {0, 1, 8, 1000, 100000}) {
    auto receive = receive_words(p.b, 0, words);
    send_words(p.a, 1, words, 5);
    const Message message = receive->wait();
    ASSERT_EQ(message.size(), 8 * words);
    for (size_t i = 0; i < words; ++i) ASSERT_EQ(message.as<uint64_t>()[i], 5 + i);
  }
}

TEST(Channel, SeveralRoundsMayBePostedUpFront) {
  Pair p;
  std::vector<std::unique_ptr<Receive>> rounds;
  for (size_t words : {64, 27, 6, 1}) rounds.push_back(receive_words(p.b, 0, words));
  for (size_t words : {64, 27, 6, 1}) send_words(p.a, 1, words, words);
  for (size_t words : {64, 27, 6, 1}) {
    EXPECT_EQ(rounds.front()->wait().as<uint64_t>()[0], words);
    rounds.erase(rounds.begin());
  }
}

TEST(Channel, LengthUpToALimit) {
  Pair p;
  for (const size_t words : {0, 3, 100}) {
    auto receive = p.b.receive_up_to(0, kPartyLane, Operation::test, DType::int64, 800);
    send_words(p.a, 1, words, 9);
    const Message message = receive->wait();
    EXPECT_EQ(message.size(), 8 * words);
    if (words > 0) {
      EXPECT_EQ(message.as<uint64_t>()[words - 1], 8 + words);
    }
  }
  auto receive = p.b.receive_up_to(0, kPartyLane, Operation::test, DType::int64, 800);
  send_words(p.a, 1, 101);
  EXPECT_TRUE(contains(message_of<ProtocolError>([&] { receive->wait(); }),
                       "'length' is 808, expected at most 800"));
}

TEST(Channel, LanesAreIndependent) {
  Pair p;
  auto second = p.b.receive(0, kRequestLane, Operation::dealer_request, DType::bytes, 8);
  auto first = receive_words(p.b, 0, 2);
  p.a.send(1, kRequestLane, Operation::dealer_request, DType::bytes, counting(1, 11));
  send_words(p.a, 1, 2, 22);
  EXPECT_EQ(first->wait().as<uint64_t>()[0], 22u);
  EXPECT_EQ(second->wait().as<uint64_t>()[0], 11u);
}

TEST(Channel, PartiesOutOfStepAreTold) {
  struct Case {
    const char* field;
    Operation operation;
    DType dtype;
    size_t bytes;
  };
  for (const Case& c :
       {Case{"'operation' is test (14), expected reveal (9)", Operation::reveal, DType::int64, 8},
        Case{"'dtype' is int64 (1), expected bits (2)", Operation::test, DType::bits, 8},
        Case{"'length' is 8, expected 16", Operation::test, DType::int64, 16},
        Case{"'length' is 8, expected 0", Operation::test, DType::int64, 0}}) {
    Pair p;
    auto receive = p.b.receive(0, kPartyLane, c.operation, c.dtype, c.bytes);
    send_words(p.a, 1, 1);
    const std::string text = message_of<ProtocolError>([&] { receive->wait(); });
    EXPECT_TRUE(contains(text, c.field)) << text;
    EXPECT_TRUE(contains(text, "peer 0 is out of step: receiving " +
                                   std::string(name(c.operation)) + ", lane 0, sequence 0, after "))
        << text;
  }
}

TEST(Channel, SessionsDoNotMix) {
  Pair p;
  p.a.set_session(1);
  auto receive = receive_words(p.b, 0, 1);
  send_words(p.a, 1, 1);
  EXPECT_TRUE(contains(message_of<ProtocolError>([&] { receive->wait(); }),
                       "'session' is 0x1, expected 0xabc"));
}

TEST(Channel, SessionHoldsFromTheNextPostOn) {
  Pair p;
  auto before = receive_words(p.b, 0, 1);
  p.b.set_session(1);
  auto after = receive_words(p.b, 0, 1);
  send_words(p.a, 1, 1, 4);
  p.a.set_session(1);
  send_words(p.a, 1, 1, 5);
  EXPECT_EQ(before->wait().as<uint64_t>()[0], 4u);
  EXPECT_EQ(after->wait().as<uint64_t>()[0], 5u);
}

TEST(Channel, TimeoutSaysWhoAndWhat) {
  Pair p(milliseconds(30));
  auto receive = p.b.receive(0, kPartyLane, Operation::compare, DType::bits, 8);
  const std::string text = message_of<PeerTimeout>([&] { receive->wait(); });
  EXPECT_TRUE(
      contains(text, "peer 0 did not answer: receiving compare, lane 0, sequence 0, after "))
      << text;
  EXPECT_TRUE(contains(text, "Check that party 0 is running and can be reached")) << text;
  EXPECT_GE(p.b.counters(kPartyLane).wait_seconds, 0.03);
}

TEST(Channel, WaitWithoutLimitOutlastsTheTimeout) {
  Pair p(milliseconds(10));
  auto receive = receive_words(p.b, 0, 1);
  std::thread late([&] {
    std::this_thread::sleep_for(milliseconds(60));
    send_words(p.a, 1, 1, 3);
  });
  EXPECT_EQ(receive->wait_without_limit().as<uint64_t>()[0], 3u);
  late.join();
}

TEST(Channel, LossSaysWhoAndWhat) {
  Pair p;
  auto receive = p.b.receive(0, kPartyLane, Operation::compare, DType::bits, 8);
  p.a.abort();
  const std::string text = message_of<PeerLost>([&] { receive->wait(); });
  EXPECT_TRUE(contains(text, "lost peer 0: receiving compare, lane 0, sequence 0, after ")) << text;
  EXPECT_TRUE(contains(text, "See what party 0 reported")) << text;
  EXPECT_THROW(send_words(p.b, 0, 1), PeerLost);
}

TEST(Channel, AbortWakesTheWaitingThread) {
  Pair p;
  std::thread waiting([&] { EXPECT_THROW(receive_words(p.b, 0, 1)->wait(), PeerLost); });
  std::this_thread::sleep_for(milliseconds(20));
  p.b.abort();
  waiting.join();
}

TEST(Channel, CountsPayloadsAndWaiting) {
  Pair p;
  std::thread late([&] {
    std::this_thread::sleep_for(milliseconds(50));
    send_words(p.a, 1, 10);
    send_words(p.a, 1, 0);
  });
  auto first = receive_words(p.b, 0, 10);
  auto second = receive_words(p.b, 0, 0);
  first->wait();
  second->wait();
  late.join();
  const Counters& sent = p.a.counters(kPartyLane);
  EXPECT_EQ(sent.messages_sent, 2u);
  EXPECT_EQ(sent.payload_sent, 80u);
  EXPECT_EQ(sent.messages_received, 0u);
  const Counters& received = p.b.counters(kPartyLane);
  EXPECT_EQ(received.messages_received, 2u);
  EXPECT_EQ(received.payload_received, 80u);
  EXPECT_EQ(received.messages_sent, 0u);
  EXPECT_GE(received.wait_seconds, 0.03);
  EXPECT_EQ(p.b.counters(kRequestLane).messages_received, 0u);
}

TEST(Channel, RefusedFramesAreNotCounted) {
  Pair p;
  auto receive = receive_words(p.b, 0, 2);
  send_words(p.a, 1, 1);
  EXPECT_THROW(receive->wait(), ProtocolError);
  EXPECT_EQ(p.b.counters(kPartyLane).messages_received, 0u);
}

TEST(Channel, ReceiveGivesItsMessageOnce) {
  Pair p;
  auto receive = receive_words(p.b, 0, 1);
  send_words(p.a, 1, 1);
  receive->wait();
  EXPECT_THROW(receive->wait(), Error);
}

TEST(Channel, AbandonedReceiveKeepsTheOthersInStep) {
  Pair p;
  receive_words(p.b, 0, 1).reset();
  auto kept = receive_words(p.b, 0, 1);
  send_words(p.a, 1, 1, 1);
  send_words(p.a, 1, 1, 2);
  EXPECT_EQ(kept->wait().as<uint64_t>()[0], 2u);
}

TEST(Channel, ReceiveOutlivesTheChannel) {
  MemoryHub hub(2);
  Channel a(hub.transport(0), kSession, kLong);
  auto b = std::make_unique<Channel>(hub.transport(1), kSession, kLong);
  auto receive = receive_words(*b, 0, 1);
  b.reset();
  send_words(a, 1, 1, 6);
  EXPECT_EQ(receive->wait().as<uint64_t>()[0], 6u);
}

TEST(Channel, RefusesWrongArguments) {
  Pair p;
  EXPECT_THROW(receive_words(p.a, 0, 1), ConfigError);
  EXPECT_THROW(receive_words(p.a, 2, 1), ConfigError);
  EXPECT_THROW(receive_words(p.a, -1, 1), ConfigError);
  EXPECT_THROW(p.a.receive(1, kLaneCount, Operation::test, DType::bytes, 1), ConfigError);
  EXPECT_THROW(p.a.counters(-1), ConfigError);
  EXPECT_THROW(p.a.send(1, kPartyLane, Operation::test, DType::bytes, Message()), Error);
  EXPECT_THROW(Channel(p.hub.transport(0), 0, milliseconds(0)), ConfigError);
}

// A transport whose sends stay unfinished, to see which of them the channel waits for.
class SlowTransport : public Transport {
 public:
  int rank() const override { return 0; }
  int size() const override { return 3; }
  std::unique_ptr<Pending> post_send(int peer, int, std::shared_ptr<const Bytes>) override {
    return std::make_unique<Unfinished>(*this, 100 * peer + posted[peer]++);
  }
  std::unique_ptr<Pending> post_receive(int, int, std::shared_ptr<Bytes>, LengthRule) override {
    return nullptr;
  }
  void abort() override {}

  std::vector<int> waited;
  int posted[3] = {};

 private:
  struct Unfinished : Pending {
    Unfinished(SlowTransport& owner, int id) : owner_(owner), id_(id) {}
    void wait(milliseconds) override { owner_.waited.push_back(id_); }
    SlowTransport& owner_;
    int id_;
  };
};

TEST(Channel, WaitsForTheOldestOfManySends) {
  auto transport = std::make_shared<SlowTransport>();
  Channel channel(transport, 0, kLong);
  for (size_t i = 0; i < Channel::kMaxUnfinishedSends + 2; ++i) send_words(channel, 1, 1);
  send_words(channel, 2, 1);
  EXPECT_EQ(transport->waited, (std::vector<int>{100, 101}));
  channel.flush(kRequestLane);
  EXPECT_EQ(transport->waited.size(), 2u);
  channel.flush();
  EXPECT_EQ(transport->waited.size(), Channel::kMaxUnfinishedSends + 3);
  EXPECT_EQ(transport->waited.back(), 200);
}

TEST(Channel, BoundsTheMemoryOfUnfinishedSends) {
  auto transport = std::make_shared<SlowTransport>();
  Channel channel(transport, 0, kLong);
  const size_t words = Channel::kMaxUnfinishedBytes / 8;
  send_words(channel, 1, words);
  send_words(channel, 1, words);  // exactly the limit was unfinished
  EXPECT_TRUE(transport->waited.empty());
  send_words(channel, 1, 1);
  EXPECT_EQ(transport->waited, (std::vector<int>{100}));
}

TEST(Channel, ThreePartiesTalkAllToAll) {
  constexpr int kParties = 3;
  MemoryHub hub(kParties);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kParties; ++rank) {
    threads.emplace_back([&hub, rank] {
      Channel channel(hub.transport(rank), kSession, kLong);
      for (uint64_t round = 0; round < 300; ++round) {
        std::vector<std::pair<int, std::unique_ptr<Receive>>> receives;
        for (int peer = 0; peer < kParties; ++peer) {
          if (peer != rank) receives.emplace_back(peer, receive_words(channel, peer, 4));
        }
        for (int peer = 0; peer < kParties; ++peer) {
          if (peer != rank) send_words(channel, peer, 4, 1000 * rank + round);
        }
        for (auto& [peer, receive] : receives) {
          ASSERT_EQ(receive->wait().as<uint64_t>()[0], 1000 * peer + round);
        }
      }
      channel.flush();
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Channel, LanesMayHaveTheirOwnThreads) {
  Pair p;
  std::vector<std::thread> threads;
  for (const int lane : {kPartyLane, kRequestLane, kCorrectionLane}) {
    for (Channel* channel : {&p.a, &p.b}) {
      threads.emplace_back([lane, channel] {
        const int peer = 1 - channel->rank();
        for (uint64_t i = 0; i < 300; ++i) {
          auto receive = channel->receive(peer, lane, Operation::test, DType::int64, 8);
          channel->send(peer, lane, Operation::test, DType::int64, counting(1, 10 * i + lane));
          ASSERT_EQ(receive->wait().as<uint64_t>()[0], 10 * i + lane);
        }
        channel->flush(lane);
      });
    }
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace cryptensor::net
