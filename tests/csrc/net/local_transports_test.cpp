// SPDX-License-Identifier: MIT
// What every transport between ranks of one host promises: threads, and shared memory.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"
#include "local_ranks.h"
#include "net/memory_transport.h"
#include "net/shared_memory_transport.h"
#include "posted_frame.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSoon{30};

using Transports = std::vector<std::shared_ptr<Transport>>;

Transports in_memory(int size) {
  MemoryHub hub(size);
  Transports all;
  for (int rank = 0; rank < size; ++rank) all.push_back(hub.transport(rank));
  return all;
}

Transports in_shared_memory(int size) {
  Transports all;
  for (auto& links : local_ranks(size)) {
    all.push_back(make_shared_memory_transport(std::move(links), static_cast<int>(all.size())));
  }
  return all;
}

struct Kind {
  const char* name;
  Transports (*make)(int size);
};

class LocalTransport : public testing::TestWithParam<Kind> {
 protected:
  static Transports make(int size) { return GetParam().make(size); }
};

INSTANTIATE_TEST_SUITE_P(, LocalTransport,
                         testing::Values(Kind{"Threads", in_memory},
                                         Kind{"SharedMemory", in_shared_memory}),
                         [](const auto& info) { return info.param.name; });

TEST_P(LocalTransport, ReceivesAreServedInTheOrderOfPosting) {
  const Transports all = make(2);
  Posted first(*all[1], 0, 0, 3), second(*all[1], 0, 0, 3), third(*all[1], 0, 0, 5);
  all[0]->post_send(1, 0, frame_of("one"))->wait(kLong);
  all[0]->post_send(1, 0, frame_of("two"))->wait(kLong);
  all[0]->post_send(1, 0, frame_of("three"))->wait(kLong);
  EXPECT_EQ(third.wait(), "three");
  EXPECT_EQ(first.wait(), "one");
  EXPECT_EQ(second.wait(), "two");
}

TEST_P(LocalTransport, FramesWaitForTheirReceive) {
  const Transports all = make(2);
  all[0]->post_send(1, 0, frame_of("one"))->wait(kLong);
  all[0]->post_send(1, 0, frame_of("two"))->wait(kLong);
  EXPECT_EQ(Posted(*all[1], 0, 0, 3).wait(), "one");
  EXPECT_EQ(Posted(*all[1], 0, 0, 3).wait(), "two");
}

TEST_P(LocalTransport, LanesAndSendersAreSeparate) {
  const Transports all = make(3);
  const auto &a = all[0], &b = all[1], &c = all[2];
  Posted from_b(*a, 1, 0, 1), from_c(*a, 2, 0, 1), lane_1(*a, 1, 1, 1);
  b->post_send(0, 1, frame_of("x"));
  c->post_send(0, 0, frame_of("y"));
  b->post_send(0, 0, frame_of("z"));
  EXPECT_EQ(from_b.wait(), "z");
  EXPECT_EQ(from_c.wait(), "y");
  EXPECT_EQ(lane_1.wait(), "x");
}

TEST_P(LocalTransport, TellsTheSizeThatArrived) {
  const Transports all = make(2);
  Posted expects_eight(*all[1], 0, 0, 8), expects_two(*all[1], 0, 0, 2);
  all[0]->post_send(1, 0, frame_of("four"));
  all[0]->post_send(1, 0, frame_of("many bytes"));
  EXPECT_EQ(expects_eight.wait(), "four");
  EXPECT_EQ(expects_two.wait(), "man");  // cut, and still seen to be too long
}

TEST_P(LocalTransport, TimesOut) {
  const Transports all = make(2);
  Posted never(*all[1], 0, 0, 8);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(never.wait(kSoon), PeerTimeout);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, kSoon);
  EXPECT_LT(took, kLong / 4);
}

TEST_P(LocalTransport, AbortWakesBothSides) {
  for (const int aborting : {0, 1}) {
    const Transports all = make(2);
    std::atomic<int> waiting{0};
    const auto lost = [&](Transport& transport, int peer) {
      Posted posted(transport, peer, 0, 8);
      ++waiting;
      EXPECT_THROW(posted.wait(), PeerLost);
    };
    std::thread a([&] { lost(*all[0], 1); });
    std::thread b([&] { lost(*all[1], 0); });
    while (waiting < 2) std::this_thread::yield();
    all[aborting]->abort();
    a.join();
    b.join();
  }
}

TEST_P(LocalTransport, AbortFailsWhatComesLater) {
  const Transports all = make(2);
  all[0]->abort();
  all[0]->abort();
  EXPECT_THROW(all[0]->post_send(1, 0, frame_of("x")), PeerLost);
  EXPECT_THROW(Posted(*all[0], 1, 0, 1).wait(), PeerLost);
  EXPECT_THROW(Posted(*all[1], 0, 0, 1).wait(), PeerLost);
  EXPECT_THROW(all[1]->post_send(0, 0, frame_of("x")), PeerLost);
}

TEST_P(LocalTransport, WhatWasSentBeforeTheAbortArrives) {
  const Transports all = make(2);
  Posted posted(*all[1], 0, 0, 3);
  all[0]->post_send(1, 0, frame_of("one"));
  all[0]->post_send(1, 0, frame_of("two"));
  all[0]->abort();
  EXPECT_EQ(posted.wait(), "one");
  EXPECT_EQ(Posted(*all[1], 0, 0, 3).wait(), "two");
  EXPECT_THROW(Posted(*all[1], 0, 0, 3).wait(), PeerLost);
}

TEST_P(LocalTransport, AbortOfOneLeavesTheOthers) {
  const Transports all = make(3);
  const auto &a = all[0], &b = all[1];
  Posted from_a(*b, 0, 0, 2);
  all[2]->abort();
  a->post_send(1, 0, frame_of("ok"));
  EXPECT_EQ(from_a.wait(), "ok");
}

TEST_P(LocalTransport, ManyThreadsExchangeManyFrames) {
  for (const int size : {2, 3, 4}) {
    const Transports all = make(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&all, rank, size] {
        const auto& transport = all[rank];
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
