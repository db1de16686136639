// SPDX-License-Identifier: MIT
#include "net/tls_transport.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"
#include "crypto/certificate.h"
#include "net/channel.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{60000};
constexpr size_t kMebibyte = size_t{1} << 20;

struct Listener {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  uint16_t port = 0;

  Listener() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const place = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket, place, size), 0);
    EXPECT_EQ(::listen(socket, 16), 0);
    EXPECT_EQ(::getsockname(socket, place, &size), 0);
    port = ntohs(address.sin_port);
  }
};

int connected_to(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return socket;
}

// Somebody on the wire, who passes everything on and alters or repeats what he likes.
class Proxy {
 public:
  enum Deed { kNothing, kAlter, kRepeat };

  explicit Proxy(uint16_t port) : target_(port), accepting_([this] { accept_all(); }) {}
  ~Proxy() {
    stop_ = true;
    accepting_.join();
    for (auto& thread : passing_) thread.join();
    ::close(listener_.socket);
  }
  uint16_t port() const { return listener_.port; }
  // To the next bytes that come by.
  void plan(Deed deed) { planned_ = deed; }

 private:
  static constexpr int kTurn = 20;  // milliseconds between looks at stop_

  void accept_all() {
    while (!stop_) {
      pollfd waiting{listener_.socket, POLLIN, 0};
      if (::poll(&waiting, 1, kTurn) <= 0) continue;
      const int near = ::accept(listener_.socket, nullptr, nullptr);
      passing_.emplace_back([this, near] { pass(near, connected_to(target_)); });
    }
  }

  void pass(int near, int far) {
    std::vector<char> bytes(kMebibyte);
    pollfd ends[] = {{near, POLLIN, 0}, {far, POLLIN, 0}};
    for (bool open = true; open && !stop_;) {
      if (::poll(ends, 2, kTurn) <= 0) continue;
      for (int from = 0; from < 2; ++from) {
        if (ends[from].revents == 0) continue;
        const ssize_t got = ::recv(ends[from].fd, bytes.data(), bytes.size(), 0);
        if (got <= 0) {
          open = false;
          continue;
        }
        const Deed deed = planned_.exchange(kNothing);
        if (deed == kAlter) bytes[got / 2] ^= 1;
        for (int copy = 0; copy < (deed == kRepeat ? 2 : 1); ++copy) {
          ::send(ends[1 - from].fd, bytes.data(), got, MSG_NOSIGNAL);
        }
      }
    }
    ::close(near);
    ::close(far);
  }

  Listener listener_;
  uint16_t target_;
  std::atomic<bool> stop_{false};
  std::atomic<Deed> planned_{kNothing};
  std::vector<std::thread> passing_;
  std::thread accepting_;
};

class TlsTransport : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string name = (std::filesystem::temp_directory_path() / "links_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
    crypto::make_authority(folder, {});
    for (const char* rank : {"party0", "party1"}) crypto::make_certificate(folder, rank, {});
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder); }

  // Rank 0 reaches rank 1 through a proxy.
  void SetUp() override {
    Listener listeners[2];
    proxy = std::make_unique<Proxy>(listeners[1].port);
    std::vector<std::thread> threads;
    transports.resize(2);
    for (int rank = 0; rank < 2; ++rank) {
      Meeting meeting;
      meeting.rank = rank;
      meeting.listener = listeners[rank].socket;
      meeting.names = {"party0", "party1"};
      meeting.addresses = {{"127.0.0.1", listeners[0].port}, {"127.0.0.1", proxy->port()}};
      threads.emplace_back([this, rank, meeting] {
        const std::string own = folder + "/party" + std::to_string(rank);
        const TlsContext context({folder + "/authority.pem", own + ".pem", own + ".key"});
        transports[rank] = make_tls_transport(context, meeting);
      });
    }
    for (auto& thread : threads) thread.join();
  }
  void TearDown() override { transports.clear(); }

  static inline std::string folder;
  std::unique_ptr<Proxy> proxy;
  std::vector<std::shared_ptr<Transport>> transports;
};

std::shared_ptr<Bytes> noise(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto frame = std::make_shared<Bytes>(size);
  for (size_t i = 0; i < size; ++i) frame->data()[i] = static_cast<uint8_t>(random());
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

const std::vector<size_t> kSizes = {0,     1,       47,    48, 1000,      16384,
                                    16385, 300'000, 65536, 1,  kMebibyte, 3 * kMebibyte};

TEST_F(TlsTransport, FramesOfAnySizeArriveBothWaysOnAllLanes) {
  const auto seed = [](int from, int lane, size_t i) { return 1000 * from + 100 * lane + i; };
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    for (int lane = 0; lane < kLaneCount; ++lane) {
      threads.emplace_back([&, rank, lane] {
        Transport& own = *transports[rank];
        const int peer = 1 - rank;
        std::vector<Arrival> arrivals;
        std::vector<std::unique_ptr<Pending>> sends;
        for (const size_t size : kSizes) arrivals.emplace_back(own, peer, lane, size);
        for (size_t i = 0; i < kSizes.size(); ++i) {
          sends.push_back(own.post_send(peer, lane, noise(kSizes[i], seed(rank, lane, i))));
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

TEST_F(TlsTransport, AnAlteredRecordIsNotAccepted) {
  for (const auto& [from, lane] : {std::pair{0, 0}, {0, 2}}) {
    Arrival good(*transports[1 - from], from, lane, 5000);
    transports[from]->post_send(1 - from, lane, noise(5000, 1))->wait(kLong);
    good.pending->wait(kLong);
    Arrival altered(*transports[1 - from], from, lane, 5000);
    proxy->plan(Proxy::kAlter);
    transports[from]->post_send(1 - from, lane, noise(5000, 2))->wait(kLong);
    EXPECT_THROW(altered.pending->wait(kLong), AuthFailed);
    // And nothing behind it.
    EXPECT_THROW(Arrival(*transports[1 - from], from, lane, 8).pending->wait(kLong), AuthFailed);
  }
}

TEST_F(TlsTransport, ARepeatedRecordIsNotAccepted) {
  Arrival first(*transports[1], 0, 0, 5000), second(*transports[1], 0, 0, 5000);
  proxy->plan(Proxy::kRepeat);
  transports[0]->post_send(1, 0, noise(5000, 1))->wait(kLong);
  first.pending->wait(kLong);
  EXPECT_THROW(second.pending->wait(kLong), AuthFailed);
}

TEST_F(TlsTransport, AbortWakesThoseWhoWait) {
  for (const int aborts : {0, 1}) {
    std::atomic<int> lost{0};
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          Arrival(*transports[rank], 1 - rank, 0, 8).pending->wait(kLong);
        } catch (const PeerLost&) {
          ++lost;
        }
      });
    }
    std::this_thread::sleep_for(milliseconds(50));
    transports[aborts]->abort();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(lost, 2);
    EXPECT_THROW(transports[aborts]->post_send(1 - aborts, 0, noise(8, 1)), PeerLost);
    TearDown();
    SetUp();
  }
}

TEST_F(TlsTransport, SendsThatNobodyReadsEndWithTheTransport) {
  // More than the sockets hold: a thread waits for room.
  std::vector<std::unique_ptr<Pending>> sends;
  const auto frame = noise(kMebibyte, 1);
  for (int i = 0; i < 64; ++i) sends.push_back(transports[0]->post_send(1, 0, frame));
  EXPECT_THROW(sends.back()->wait(milliseconds(50)), PeerTimeout);
  transports[0]->abort();
  transports[0].reset();
  EXPECT_THROW(sends[62]->wait(kLong), PeerLost);
}

TEST_F(TlsTransport, TimesOutAndKnowsItsPlace) {
  EXPECT_THROW(Arrival(*transports[0], 1, 0, 8).pending->wait(milliseconds(30)), PeerTimeout);
  EXPECT_EQ(transports[1]->rank(), 1);
  EXPECT_EQ(transports[1]->size(), 2);
  for (const auto& [peer, lane] : {std::pair{1, 0}, {2, 0}, {-1, 0}, {0, kLaneCount}, {0, -1}}) {
    EXPECT_THROW(transports[1]->post_send(peer, lane, noise(8, 1)), ConfigError);
  }
}

}  // namespace
}  // namespace cryptensor::net
