// SPDX-License-Identifier: MIT
// What is special to shared memory; local_transports_test.cpp has what it shares with threads.
#include "net/shared_memory_transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <random>

#include "core/errors.h"
#include "local_ranks.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLong{60000};
constexpr size_t kMebibyte = size_t{1} << 20;

using Transports = std::vector<std::shared_ptr<Transport>>;

Transports make(int size) {
  Transports all;
  for (auto& links : local_ranks(size)) {
    all.push_back(make_shared_memory_transport(std::move(links), static_cast<int>(all.size())));
  }
  return all;
}

std::shared_ptr<Bytes> noise(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto frame = std::make_shared<Bytes>(size);
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t value = random();
    std::memcpy(frame->data() + i, &value, std::min<size_t>(8, size - i));
  }
  return frame;
}

bool equal(const Bytes& a, const Bytes& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

struct Arrival {
  std::shared_ptr<Bytes> frame;
  std::unique_ptr<Pending> pending;

  Arrival(Transport& to, int from, int lane, size_t size)
      : frame(std::make_shared<Bytes>(size)),
        pending(to.post_receive(from, lane, frame, LengthRule::exact)) {}
};

const std::vector<size_t> kSizes = {
    0, 1, 47, 48, 1000, 300'000, 65536, 17, kMebibyte, 9 * kMebibyte, 12'345, kRingBytes};

TEST(SharedMemory, FramesOfAnySizeArriveBothWaysOnAllLanes) {
  const Transports all = make(2);
  const auto seed = [](int from, int lane, size_t i) { return 1000 * from + 100 * lane + i; };
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    for (int lane = 0; lane < kLaneCount; ++lane) {
      threads.emplace_back([&, rank, lane] {
        const int peer = 1 - rank;
        std::vector<Arrival> arrivals;
        std::vector<std::unique_ptr<Pending>> sends;
        for (const size_t size : kSizes) arrivals.emplace_back(*all[rank], peer, lane, size);
        for (size_t i = 0; i < kSizes.size(); ++i) {
          sends.push_back(all[rank]->post_send(peer, lane, noise(kSizes[i], seed(rank, lane, i))));
        }
        for (size_t i = 0; i < kSizes.size(); ++i) {
          arrivals[i].pending->wait(kLong);
          right += equal(*arrivals[i].frame, *noise(kSizes[i], seed(peer, lane, i)));
        }
        for (auto& send : sends) send->wait(kLong);
      });
    }
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 2 * kLaneCount * static_cast<int>(kSizes.size()));
}

// Every rank has posted its receives, and all wait for their sends, which fill the rings.
TEST(SharedMemory, RanksThatAllWaitForTheirSendsGoOn) {
  constexpr int kRanks = 3, kFrames = 3;
  const Transports all = make(kRanks);
  const auto frame = noise(7 * kMebibyte, 1);
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      const int next = (rank + 1) % kRanks, before = (rank + kRanks - 1) % kRanks;
      std::vector<Arrival> arrivals;
      for (int i = 0; i < kFrames; ++i) arrivals.emplace_back(*all[rank], before, 0, frame->size());
      std::unique_ptr<Pending> last;
      for (int i = 0; i < kFrames; ++i) last = all[rank]->post_send(next, 0, frame);
      last->wait(kLong);
      for (Arrival& arrival : arrivals) {
        arrival.pending->wait(kLong);
        right += equal(*arrival.frame, *frame);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, kRanks * kFrames);
}

// Whoever waits in vain for one peer looks after what the other peers of the lane have sent, as the
// dealer does while it watches all parties.
TEST(SharedMemory, ThreadsWaitForDifferentPeersOnOneLane) {
  constexpr int kLane = 1, kBusy = 200'000, kSlow = 150;
  const Transports all = make(3);
  const auto number = [](int i) {
    auto frame = std::make_shared<Bytes>(sizeof i);
    std::memcpy(frame->data(), &i, sizeof i);
    return frame;
  };
  std::atomic<bool> over{false};
  const auto send = [&](int rank, int frames, milliseconds pause) {
    for (int i = 0; i < frames && !over; ++i) {
      all[rank]->post_send(0, kLane, number(i))->wait(kLong);
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
    }
  };
  std::atomic<int> right{0};
  const auto receive = [&](int rank, int frames) {
    for (int i = 0; i < frames && !over; ++i) {
      Arrival arrival(*all[0], rank, kLane, sizeof i);
      try {
        arrival.pending->wait(milliseconds(20000));
      } catch (const Error& error) {
        ADD_FAILURE() << "frame " << i << " from " << rank << ": " << error.what();
        over = true;
        return;
      }
      right += equal(*arrival.frame, *number(i));
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back([&] { send(1, kBusy, milliseconds(0)); });
  threads.emplace_back([&] { send(2, kSlow, milliseconds(6)); });
  threads.emplace_back([&] { receive(1, kBusy); });
  threads.emplace_back([&] { receive(2, kSlow); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, kBusy + kSlow);
}

TEST(SharedMemory, SendsThatNobodyReadsEndWithTheTransport) {
  Transports all = make(2);
  std::vector<std::unique_ptr<Pending>> sends;
  const auto frame = noise(kMebibyte, 1);
  for (int i = 0; i < 16; ++i) sends.push_back(all[0]->post_send(1, 0, frame));
  EXPECT_THROW(sends.back()->wait(milliseconds(50)), PeerTimeout);
  all[0]->abort();
  EXPECT_THROW(sends[14]->wait(kLong), PeerLost);
  all[0].reset();
}

TEST(SharedMemory, ASenderIsToldThatItsPeerIsGone) {
  Transports all = make(2);
  const auto pending = all[0]->post_send(1, 0, noise(2 * kRingBytes, 1));
  all[1].reset();
  EXPECT_THROW(pending->wait(kLong), PeerLost);
}

TEST(SharedMemory, AnAbandonedReceiveSwallowsItsFrame) {
  const Transports all = make(2);
  {
    const Arrival abandoned(*all[1], 0, 0, 3);
  }
  const Arrival next(*all[1], 0, 0, 5);
  all[0]->post_send(1, 0, noise(3, 1));
  all[0]->post_send(1, 0, noise(5, 2));
  next.pending->wait(kLong);
  EXPECT_TRUE(equal(*next.frame, *noise(5, 2)));
}

TEST(SharedMemory, KnowsItsPlace) {
  const Transports all = make(3);
  EXPECT_EQ(all[1]->rank(), 1);
  EXPECT_EQ(all[1]->size(), 3);
  for (const auto& [peer, lane] : {std::pair{1, 0}, {3, 0}, {-1, 0}, {0, kLaneCount}, {0, -1}}) {
    EXPECT_THROW(all[1]->post_send(peer, lane, noise(8, 1)), ConfigError);
  }
}

#if !defined(__SANITIZE_THREAD__)  // which does not know what a fork of threads leaves behind
// Killed while a child of its own still holds all that it had.
TEST(SharedMemory, AKilledProcessIsLostAtOnceAndWhatItSentArrives) {
  LocalListener listeners[2];
  const std::vector<std::string> names = {listeners[0].name, listeners[1].name};
  const pid_t victim = ::fork();
  if (victim == 0) {
    const auto transport =
        make_shared_memory_transport(meet_locally({1, listeners[1].socket, names, seconds(20)}), 1);
    transport->post_send(0, 0, noise(1000, 3));
    if (::fork() == 0) {
      ::sleep(3);
      ::_exit(0);
    }
    ::raise(SIGKILL);
  }
  const auto transport =
      make_shared_memory_transport(meet_locally({0, listeners[0].socket, names, seconds(20)}), 0);
  ASSERT_EQ(::waitpid(victim, nullptr, 0), victim);
  const Arrival sent(*transport, 1, 0, 1000), never(*transport, 1, 0, 1);
  sent.pending->wait(kLong);
  EXPECT_TRUE(equal(*sent.frame, *noise(1000, 3)));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(never.pending->wait(kLong), PeerLost);
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(1));
}
#endif

// ---- the meeting -------------------------------------------------------------------------------

std::string refusal(const LocalMeeting& meeting) {
  try {
    meet_locally(meeting);
  } catch (const SetupError& error) {
    return error.what();
  }
  return "";
}

TEST(SharedMemoryMeeting, NamesARankThatIsAbsent) {
  LocalListener own, other;
  ::close(other.socket);
  const std::vector<std::string> names = {own.name, other.name};
  EXPECT_NE(refusal({0, own.socket, names, milliseconds(50)}).find("rank 1 did not connect"),
            std::string::npos);
  LocalListener again;
  EXPECT_NE(
      refusal({1, again.socket, {other.name, again.name}, milliseconds(50)}).find("rank 0 is gone"),
      std::string::npos);
}

// Somebody of this user who knows the way, and what he sends instead of rank 1.
struct Stranger {
  int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  explicit Stranger(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
  }
  ~Stranger() { ::close(socket); }

  void send(const std::vector<uint8_t>& hello, const std::vector<int>& passed) const {
    iovec part{const_cast<uint8_t*>(hello.data()), hello.size()};
    alignas(cmsghdr) char room[256] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!passed.empty()) {
      message.msg_control = room;
      message.msg_controllen = CMSG_SPACE(passed.size() * sizeof(int));
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(passed.size() * sizeof(int));
      std::memcpy(CMSG_DATA(header), passed.data(), passed.size() * sizeof(int));
    }
    ::sendmsg(socket, &message, MSG_NOSIGNAL);
  }
};

std::vector<uint8_t> hello(uint32_t magic, uint16_t sender, uint16_t receiver, uint64_t bytes) {
  std::vector<uint8_t> out(16);
  std::memcpy(&out[0], &magic, 4);
  std::memcpy(&out[4], &sender, 2);
  std::memcpy(&out[6], &receiver, 2);
  std::memcpy(&out[8], &bytes, 8);
  return out;
}

int memory_of(size_t bytes, int seals) {
  const int memory = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT_EQ(::ftruncate(memory, static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(::fcntl(memory, F_ADD_SEALS, seals), 0);
  return memory;
}

TEST(SharedMemoryMeeting, StrangersAndUnsoundMemoryAreTurnedAway) {
  constexpr uint32_t kMagic = 0x314d4853;
  constexpr uint64_t kBytes = sizeof(PairMemory);
  const int sound = memory_of(kBytes, F_SEAL_SHRINK), open = memory_of(kBytes, 0);
  const int small = memory_of(4096, F_SEAL_SHRINK), file = ::open("/dev/zero", O_RDWR | O_CLOEXEC);
  const auto right = hello(kMagic, 1, 0, kBytes);
  const std::vector<std::pair<std::vector<uint8_t>, std::vector<int>>> attempts = {
      {right, {}},
      {right, {open}},
      {right, {small}},
      {right, {file}},
      {right, {sound, sound}},
      {{right.begin(), right.end() - 1}, {sound}},
      {hello(kMagic + 1, 1, 0, kBytes), {sound}},
      {hello(kMagic, 0, 0, kBytes), {sound}},
      {hello(kMagic, 2, 0, kBytes), {sound}},
      {hello(kMagic, 1, 1, kBytes), {sound}},
      {hello(kMagic, 1, 0, kBytes + 1), {sound}},
  };
  LocalListener listener;
  const std::vector<std::string> names = {listener.name, "nobody"};
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (const auto& [words, passed] : attempts) {
    strangers.push_back(std::make_unique<Stranger>(listener.name));
    strangers.back()->send(words, passed);
  }
  EXPECT_NE(refusal({0, ::dup(listener.socket), names, milliseconds(100)}).find("rank 1 did not"),
            std::string::npos);
  // And the same words with sound memory are accepted.
  strangers.push_back(std::make_unique<Stranger>(listener.name));
  strangers.back()->send(right, {sound});
  EXPECT_EQ(refusal({0, listener.socket, names, milliseconds(5000)}), "");
  for (const int descriptor : {sound, open, small, file}) ::close(descriptor);
}

}  // namespace
}  // namespace cryptensor::net
