// SPDX-License-Identifier: MIT
// Against a stand-in for Gloo that is stricter than Gloo: the tests of the launcher run the real
// one.
#include "net/gloo_transport.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "core/errors.h"
#include "net/channel.h"
#include "net/decorators.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;
using Frame = std::shared_ptr<const Bytes>;

constexpr milliseconds kLong{20000};
constexpr milliseconds kSoon{50};

class FakeWork;

// What the ranks of a group share. Like Gloo it moves bytes only when a send has met a receive of
// the same tag, closes everything after a timeout, and ends on a message longer than its receive.
struct FakeGroup {
  using Key = std::tuple<int, int, int>;  // sender, receiver, tag

  std::mutex mutex;
  std::condition_variable changed;
  std::map<Key, std::deque<FakeWork*>> sends;
  std::map<Key, std::deque<FakeWork*>> receives;
  std::string failure;    // of every operation that is not done
  size_t operations = 0;  // posted
  size_t unfinished = 0;
  bool overrun = false;
};

class FakeWork : public c10d::Work {
 public:
  FakeWork(std::shared_ptr<FakeGroup> group, at::Tensor tensor, FakeGroup::Key key, bool sends)
      : group_(std::move(group)), tensor_(std::move(tensor)), key_(key), sends_(sends) {}

  ~FakeWork() override {
    const std::lock_guard lock(group_->mutex);
    if (done_) return;
    auto& queue = sends_ ? group_->sends[key_] : group_->receives[key_];
    std::erase(queue, this);
  }

  void post() {
    const std::lock_guard lock(group_->mutex);
    if (!group_->failure.empty()) throw std::runtime_error(group_->failure);
    ++group_->operations;
    ++group_->unfinished;
    (sends_ ? group_->sends : group_->receives)[key_].push_back(this);
    auto& sends = group_->sends[key_];
    auto& receives = group_->receives[key_];
    while (!sends.empty() && !receives.empty()) {
      meet(*sends.front(), *receives.front());
      sends.pop_front();
      receives.pop_front();
    }
    group_->changed.notify_all();
  }

  bool wait(milliseconds timeout) override {
    EXPECT_GT(timeout.count(), 0);
    std::unique_lock lock(group_->mutex);
    group_->changed.wait_for(lock, timeout, [this] { return done_ || !group_->failure.empty(); });
    if (done_) return true;
    if (!group_->failure.empty()) throw std::runtime_error(group_->failure);
    group_->failure = "[/gloo/pair.cc:1] Application timeout caused pair closure";
    group_->changed.notify_all();
    throw std::runtime_error("[/gloo/buffer.cc:81] Timed out waiting 50ms for recv operation");
  }

 private:
  void meet(FakeWork& send, FakeWork& receive) {
    const auto size = static_cast<size_t>(send.tensor_.numel());
    if (send.tensor_.numel() > receive.tensor_.numel()) {
      group_->overrun = true;
    } else {
      std::memcpy(receive.tensor_.data_ptr(), send.tensor_.data_ptr(), size);
    }
    send.done_ = receive.done_ = true;
    group_->unfinished -= 2;
  }

  std::shared_ptr<FakeGroup> group_;
  at::Tensor tensor_;
  FakeGroup::Key key_;
  bool sends_;
  bool done_ = false;
};

class FakeBackend : public c10d::Backend {
 public:
  FakeBackend(std::shared_ptr<FakeGroup> group, int rank, int size)
      : Backend(rank, size), group_(std::move(group)) {}

  c10::intrusive_ptr<c10d::Work> send(std::vector<at::Tensor>& tensors, int peer,
                                      int tag) override {
    return post(tensors, {getRank(), peer, tag}, true);
  }
  c10::intrusive_ptr<c10d::Work> recv(std::vector<at::Tensor>& tensors, int peer,
                                      int tag) override {
    return post(tensors, {peer, getRank(), tag}, false);
  }

 private:
  c10::intrusive_ptr<c10d::Work> post(std::vector<at::Tensor>& tensors, FakeGroup::Key key,
                                      bool sends) {
    auto work = c10::make_intrusive<FakeWork>(group_, tensors.at(0), key, sends);
    work->post();
    return work;
  }

  std::shared_ptr<FakeGroup> group_;
};

class GlooTransport : public testing::Test {
 protected:
  std::shared_ptr<Transport> transport(int rank, int size = 2) {
    auto backend = c10::make_intrusive<FakeBackend>(group, rank, size);
    return make_gloo_transport(backend.get());
  }
  ~GlooTransport() override { start_again(); }

  void start_again() {
    EXPECT_FALSE(group->overrun) << "Gloo would have ended the process";
    group = std::make_shared<FakeGroup>();
  }

  static Message filled(size_t bytes, int value) {
    Message message(bytes);
    std::memset(message.data(), value, bytes);
    return message;
  }
  static void send(Channel& channel, size_t bytes, int value) {
    channel.send(1, kPartyLane, Operation::test, DType::bytes, filled(bytes, value));
  }
  static std::unique_ptr<Receive> receive(Channel& channel, size_t bytes) {
    return channel.receive(0, kPartyLane, Operation::test, DType::bytes, bytes);
  }
  static std::unique_ptr<Receive> receive_up_to(Channel& channel, size_t bytes) {
    return channel.receive_up_to(0, kPartyLane, Operation::test, DType::bytes, bytes);
  }
  static void expect_filled(const Message& message, size_t bytes, uint8_t value) {
    ASSERT_EQ(message.size(), bytes);
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(message.data()[i], value) << i;
  }

  std::shared_ptr<FakeGroup> group = std::make_shared<FakeGroup>();
};

// Around the first and the second border between parts.
const size_t kSizes[] = {0,      1,      1000,   65479,  65480,   65481,
                         100000, 327623, 327624, 327625, 3000000, 64};

TEST_F(GlooTransport, KnowsItsPlace) {
  EXPECT_EQ(transport(1, 3)->rank(), 1);
  EXPECT_EQ(transport(1, 3)->size(), 3);
}

TEST_F(GlooTransport, CarriesFramesOfAllSizes) {
  Channel a(transport(0), 1, kLong), b(transport(1), 1, kLong);
  std::vector<std::unique_ptr<Receive>> receives;
  for (size_t size : kSizes) receives.push_back(receive(b, size));
  for (size_t i = 0; i < std::size(kSizes); ++i) send(a, kSizes[i], static_cast<int>(i));
  a.flush();
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    expect_filled(receives[i]->wait(), kSizes[i], static_cast<uint8_t>(i));
  }
  EXPECT_EQ(group->unfinished, 1u);  // the receive for the frame behind the last
}

TEST_F(GlooTransport, SmallFramesAreOneMessage) {
  Channel a(transport(0), 1, kLong), b(transport(1), 1, kLong);
  auto receives = receive(b, 65480);
  send(a, 65480, 1);
  receives->wait();
  EXPECT_EQ(group->operations, 3u);  // and the receive for the frame behind it
}

TEST_F(GlooTransport, UnknownLengthsAmongKnownOnes) {
  Channel a(transport(0), 1, kLong), b(transport(1), 1, kLong);
  std::vector<std::unique_ptr<Receive>> receives;
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    receives.push_back(i % 2 == 0 ? receive_up_to(b, 4000000) : receive(b, kSizes[i]));
  }
  for (size_t i = 0; i < std::size(kSizes); ++i) send(a, kSizes[i], static_cast<int>(i));
  for (size_t i = 0; i < std::size(kSizes); ++i) {
    expect_filled(receives[i]->wait(), kSizes[i], static_cast<uint8_t>(i));
  }
  a.flush();
  EXPECT_EQ(group->unfinished, 1u);  // the receive for the frame behind the last
}

TEST_F(GlooTransport, SizesThatDifferAreRefused) {
  for (const size_t sent : kSizes) {
    for (const size_t expected : kSizes) {
      if (sent == expected) continue;
      Channel a(transport(0), 1, kLong), b(transport(1), 1, kLong);
      auto exact = receive(b, expected);
      send(a, sent, 1);
      EXPECT_THROW(exact->wait(), ProtocolError) << sent << " for " << expected;
      start_again();
    }
  }
}

TEST_F(GlooTransport, FramesThatLieAboutTheirLengthAreRefused) {
  for (const size_t size : kSizes) {
    for (const size_t actual : {size_t{10}, size + 47, size + 49, size + 1000000}) {
      auto faulty =
          std::make_shared<FaultTransport>(transport(0), [actual](int, int, const Frame& frame) {
            return FaultTransport::Frames{resized(*frame, actual)};
          });
      Channel a(faulty, 1, kLong), b(transport(1), 1, kLong);
      auto known = receive(b, size);
      send(a, size, 1);
      EXPECT_THROW(known->wait(), ProtocolError) << actual << " bytes with a payload of " << size;
      start_again();
    }
  }
}

TEST_F(GlooTransport, AbandonedReceiveSwallowsItsFrame) {
  Channel a(transport(0), 1, kLong), b(transport(1), 1, kLong);
  receive(b, 400000).reset();
  auto kept = receive(b, 500000);
  send(a, 400000, 1);
  send(a, 500000, 2);
  a.flush();
  expect_filled(kept->wait(), 500000, 2);
}

TEST_F(GlooTransport, TimeoutIsNamed) {
  Channel b(transport(1), 1, kSoon);
  auto never = receive(b, 400000), later = receive(b, 1);
  EXPECT_THROW(never->wait(), PeerTimeout);
  EXPECT_THROW(later->wait(), PeerLost);
}

TEST_F(GlooTransport, AbortClosesTheGroup) {
  Channel a(transport(0), 1, kLong), b(transport(1), 1, kLong);
  auto waiting = receive(b, 1);
  a.abort();
  a.abort();
  EXPECT_THROW(waiting->wait(), PeerLost);
  EXPECT_THROW(send(a, 1, 1), PeerLost);
  EXPECT_THROW(receive(b, 1), PeerLost);
}

struct Cause {
  const char* text;
  bool is_loss;
  const char* shown;
};

TEST_F(GlooTransport, CausesAreTranslated) {
  for (const Cause& cause :
       {Cause{"[/gloo/pair.cc:5] Connection closed by peer [10.0.0.1]:7. Advice.", true,
              "(Connection closed by peer [10.0.0.1]:7)"},
        Cause{"[/gloo/pair.cc:5] Read error [::1]:7: Connection reset by peer", true,
              "Connection reset by peer)"},
        Cause{"[/gloo/pair.cc:5] writev [::1]:7: Broken pipe", true, "Broken pipe)"},
        Cause{"[enforce fail at pair.cc:7] op. 3 vs 4", false, "enforce fail"}}) {
    Channel b(transport(1), 1, kLong);
    auto receives = receive(b, 1);
    {
      const std::lock_guard lock(group->mutex);
      group->failure = cause.text;
    }
    try {
      receives->wait();
      FAIL() << cause.text;
    } catch (const Error& error) {
      EXPECT_EQ(dynamic_cast<const PeerLost*>(&error) != nullptr, cause.is_loss) << cause.text;
      EXPECT_NE(std::string(error.what()).find(cause.shown), std::string::npos) << error.what();
    }
    group->failure.clear();
  }
}

}  // namespace
}  // namespace cryptensor::net
