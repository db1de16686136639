// SPDX-License-Identifier: MIT
#include "net/memory_transport.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSoon{30};
constexpr milliseconds kLong{20000};

std::shared_ptr<Bytes> frame_of(const std::string& text) {
  auto frame = std::make_shared<Bytes>(text.size());
  std::memcpy(frame->data(), text.data(), text.size());
  return frame;
}

std::string text_of(const Bytes& frame) {
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

struct Posted {
  std::shared_ptr<Bytes> frame;
  std::unique_ptr<Pending> pending;

  Posted(Transport& transport, int peer, int lane, size_t size)
      : frame(std::make_shared<Bytes>(size)),
        pending(transport.post_receive(peer, lane, frame, LengthRule::exact)) {}

  std::string wait(milliseconds timeout = kLong) {
    pending->wait(timeout);
    return text_of(*frame);
  }
};

struct Pair {
  MemoryHub hub{2};
  std::shared_ptr<Transport> a = hub.transport(0);
  std::shared_ptr<Transport> b = hub.transport(1);
};

TEST(MemoryTransport, KnowsItsPlace) {
  MemoryHub hub(3);
  EXPECT_EQ(hub.transport(2)->rank(), 2);
  EXPECT_EQ(hub.transport(2)->size(), 3);
  EXPECT_THROW(hub.transport(3), ConfigError);
  EXPECT_THROW(hub.transport(-1), ConfigError);
  EXPECT_THROW(MemoryHub(0), ConfigError);
  EXPECT_THROW(hub.transport(0)->post_send(3, 0, frame_of("x")), ConfigError);
}

TEST(MemoryTransport, ReceivesAreServedInTheOrderOfPosting) {
  Pair p;
  Posted first(*p.b, 0, 0, 3), second(*p.b, 0, 0, 3), third(*p.b, 0, 0, 5);
  p.a->post_send(1, 0, frame_of("one"))->wait(kLong);
  p.a->post_send(1, 0, frame_of("two"))->wait(kLong);
  p.a->post_send(1, 0, frame_of("three"))->wait(kLong);
  EXPECT_EQ(third.wait(), "three");
  EXPECT_EQ(first.wait(), "one");
  EXPECT_EQ(second.wait(), "two");
}

TEST(MemoryTransport, FramesWaitForTheirReceive) {
  Pair p;
  p.a->post_send(1, 0, frame_of("one"))->wait(kLong);
  p.a->post_send(1, 0, frame_of("two"))->wait(kLong);
  EXPECT_EQ(Posted(*p.b, 0, 0, 3).wait(), "one");
  EXPECT_EQ(Posted(*p.b, 0, 0, 3).wait(), "two");
}

TEST(MemoryTransport, LanesAndSendersAreSeparate) {
  MemoryHub hub(3);
  auto a = hub.transport(0), b = hub.transport(1), c = hub.transport(2);
  Posted from_b(*a, 1, 0, 1), from_c(*a, 2, 0, 1), lane_1(*a, 1, 1, 1);
  b->post_send(0, 1, frame_of("x"));
  c->post_send(0, 0, frame_of("y"));
  b->post_send(0, 0, frame_of("z"));
  EXPECT_EQ(from_b.wait(), "z");
  EXPECT_EQ(from_c.wait(), "y");
  EXPECT_EQ(lane_1.wait(), "x");
}

TEST(MemoryTransport, TellsTheSizeThatArrived) {
  Pair p;
  Posted expects_eight(*p.b, 0, 0, 8), expects_two(*p.b, 0, 0, 2);
  p.a->post_send(1, 0, frame_of("four"));
  p.a->post_send(1, 0, frame_of("many bytes"));
  EXPECT_EQ(expects_eight.wait(), "four");
  EXPECT_EQ(expects_two.wait(), "man");  // cut, and still seen to be too long
}

TEST(MemoryTransport, TimesOut) {
  Pair p;
  Posted never(*p.b, 0, 0, 8);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(never.wait(kSoon), PeerTimeout);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, kSoon);
  EXPECT_LT(took, kLong / 4);
}

TEST(MemoryTransport, AbandonedReceiveSwallowsItsFrame) {
  Pair p;
  std::weak_ptr<Bytes> memory;
  {
    Posted abandoned(*p.b, 0, 0, 3);
    memory = abandoned.frame;
  }
  EXPECT_TRUE(memory.expired());  // nobody will write to it
  Posted next(*p.b, 0, 0, 3);
  p.a->post_send(1, 0, frame_of("one"));
  p.a->post_send(1, 0, frame_of("two"));
  EXPECT_EQ(next.wait(), "two");
}

TEST(MemoryTransport, AbortWakesBothSides) {
  for (const int aborting : {0, 1}) {
    Pair p;
    std::atomic<int> waiting{0};
    const auto lost = [&](Transport& transport, int peer) {
      Posted posted(transport, peer, 0, 8);
      ++waiting;
      EXPECT_THROW(posted.wait(), PeerLost);
    };
    std::thread a([&] { lost(*p.a, 1); });
    std::thread b([&] { lost(*p.b, 0); });
    while (waiting < 2) std::this_thread::yield();
    p.hub.abort(aborting);
    a.join();
    b.join();
  }
}

TEST(MemoryTransport, AbortFailsWhatComesLater) {
  Pair p;
  p.a->abort();
  p.a->abort();
  EXPECT_THROW(p.a->post_send(1, 0, frame_of("x")), PeerLost);
  EXPECT_THROW(p.b->post_send(0, 0, frame_of("x")), PeerLost);
  EXPECT_THROW(Posted(*p.a, 1, 0, 1).wait(), PeerLost);
  EXPECT_THROW(Posted(*p.b, 0, 0, 1).wait(), PeerLost);
}

TEST(MemoryTransport, WhatWasSentBeforeTheAbortArrives) {
  Pair p;
  Posted posted(*p.b, 0, 0, 3);
  p.a->post_send(1, 0, frame_of("one"));
  p.a->post_send(1, 0, frame_of("two"));
  p.a->abort();
  EXPECT_EQ(posted.wait(), "one");
  EXPECT_EQ(Posted(*p.b, 0, 0, 3).wait(), "two");
  EXPECT_THROW(Posted(*p.b, 0, 0, 3).wait(), PeerLost);
}

TEST(MemoryTransport, AbortOfOneLeavesTheOthers) {
  MemoryHub hub(3);
  auto a = hub.transport(0), b = hub.transport(1);
  Posted from_a(*b, 0, 0, 2);
  hub.abort(2);
  a->post_send(1, 0, frame_of("ok"));
  EXPECT_EQ(from_a.wait(), "ok");
}

TEST(MemoryTransport, OutlivesItsHub) {
  std::shared_ptr<Transport> a, b;
  {
    MemoryHub hub(2);
    a = hub.transport(0);
    b = hub.transport(1);
  }
  a->post_send(1, 0, frame_of("ok"));
  EXPECT_EQ(Posted(*b, 0, 0, 2).wait(), "ok");
}

TEST(MemoryTransport, ManyThreadsExchangeManyFrames) {
  for (const int size : {2, 3, 4}) {
    MemoryHub hub(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&hub, rank, size] {
        auto transport = hub.transport(rank);
        for (int round = 0; round < 500; ++round) {
          std::vector<std::pair<int, Posted>> posted;
          for (int peer = 0; peer < size; ++peer) {
            if (peer != rank) posted.emplace_back(peer, Posted(*transport, peer, 0, 32));
          }
          for (int peer = 0; peer < size; ++peer) {
            if (peer == rank) continue;
            const std::string text = std::to_string(rank) + ">" + std::to_string(round);
            transport->post_send(peer, 0, frame_of(text))->wait(kLong);
          }
          for (auto& [peer, receive] : posted) {
            ASSERT_EQ(receive.wait(), std::to_string(peer) + ">" + std::to_string(round));
          }
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace cryptensor::net
