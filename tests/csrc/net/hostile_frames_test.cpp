// SPDX-License-Identifier: MIT
// A peer that is not this library puts 10^5 frames into a live channel, in memory and over an
// encrypted link. Every one is a ProtocolError, and the frames between them still arrive.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"
#include "crypto/certificate.h"
#include "local_ranks.h"
#include "net/channel.h"
#include "net/memory_transport.h"
#include "net/shared_memory_transport.h"
#include "net/tls_transport.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;
using Content = std::vector<uint8_t>;

constexpr uint64_t kSession = 0x5eed;
constexpr milliseconds kTimeout{5000};
constexpr int kHostileBetween = 9;  // and then one that is good

std::shared_ptr<Bytes> frame_of(const Content& content) {
  auto frame = std::make_shared<Bytes>(content.size());
  if (!content.empty()) std::memcpy(frame->data(), content.data(), content.size());
  return frame;
}

// What the channel waits for: rank 0's next frame on the lane.
struct Expected {
  FrameHeader header;
  LengthRule rule = LengthRule::exact;
};

// Written without looking at frame.cpp: bytes at the offsets of the table in frame.h.
bool is_good(const Content& frame, const Expected& expected) {
  if (frame.size() < kHeaderBytes) return false;
  Content good(kHeaderBytes);
  write(expected.header, good.data());
  const auto same = [&](size_t from, size_t to) {
    return std::memcmp(&frame[from], &good[from], to - from) == 0;
  };
  uint64_t length = 0;
  std::memcpy(&length, &frame[32], sizeof length);
  const bool fits = expected.rule == LengthRule::exact ? length == expected.header.length
                                                       : length <= expected.header.length;
  return same(0, 32) && same(40, 48) && fits && frame.size() - kHeaderBytes == length;
}

class Peer {
 public:
  Peer(std::shared_ptr<Transport> transport, uint64_t seed)
      : transport_(std::move(transport)), random_(seed) {}

  void send(int lane, const Content& content) {
    transport_->post_send(1, lane, frame_of(content))->wait(kTimeout);
  }

  Content good(const Expected& expected) {
    Content frame(kHeaderBytes + expected.header.length);
    write(expected.header, frame.data());
    return frame;
  }

  // At most `limit` bytes.
  Content hostile(const Expected& expected, size_t limit) {
    Content frame;
    do {
      frame = mutated(expected, limit);
      if (frame.size() > limit) frame.resize(limit);
    } while (is_good(frame, expected));
    return frame;
  }

  size_t below(size_t end) { return random_() % end; }

 private:
  Content noise(size_t size) {
    Content frame(size);
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random_());
    return frame;
  }

  uint64_t extreme(uint64_t near) {
    const uint64_t values[] = {
        0,         1,          near - 1,          near + 1,          near * 8,
        1u << 31,  ~0u,        uint64_t{1} << 60, uint64_t{1} << 63, ~0ull,
        ~0ull - 7, ~0ull - 47, random_()};
    return values[below(std::size(values))];
  }

  Content mutated(const Expected& expected, size_t limit) {
    struct Field {
      size_t offset, bytes;
    };
    constexpr Field kFields[] = {{0, 4},  {4, 2},  {6, 2},  {8, 8},  {16, 8}, {24, 2},
                                 {26, 1}, {27, 1}, {28, 4}, {32, 8}, {40, 8}};
    Content frame = good(expected);
    switch (below(8)) {
      case 0:
        return noise(below(limit + 1));
      case 1:  // one to three bits of the header
        for (size_t i = below(3) + 1; i > 0; --i) {
          const size_t bit = below(8 * kHeaderBytes);
          frame[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
        }
        return frame;
      case 2: {  // a field that is something else
        const Field field = kFields[below(std::size(kFields))];
        uint64_t value = 0;
        std::memcpy(&value, &frame[field.offset], field.bytes);
        value = extreme(value);
        std::memcpy(&frame[field.offset], &value, field.bytes);
        return frame;
      }
      case 3:  // cut
        frame.resize(below(frame.size()));
        return frame;
      case 4:  // more than it says
        frame.resize(frame.size() + 1 + below(32));
        return frame;
      case 5: {  // replayed, or ahead of its time
        FrameHeader other = expected.header;
        other.sequence += below(2) == 0 ? below(100) + 1 : -(below(100) + 1);
        write(other, frame.data());
        return frame;
      }
      case 6: {  // of another conversation
        FrameHeader other = expected.header;
        other.lane = static_cast<uint8_t>(below(4));
        other.sender = static_cast<uint16_t>(below(4));
        other.session = below(2) == 0 ? other.session : random_();
        other.operation = static_cast<Operation>(below(20));
        other.dtype = static_cast<DType>(below(5));
        write(other, frame.data());
        return frame;
      }
      default: {  // a length that lies, in front of a payload of any size
        FrameHeader other = expected.header;
        other.length = extreme(other.length);
        frame.resize(kHeaderBytes + below(64));
        write(other, frame.data());
        return frame;
      }
    }
  }

  std::shared_ptr<Transport> transport_;
  std::mt19937_64 random_;
};

// One lane of the attacked channel, which counts along.
class Target {
 public:
  Target(Channel& channel, int lane) : channel_(channel), lane_(lane) {}

  std::unique_ptr<Receive> expect(Expected& expected, Peer& peer) {
    constexpr Operation kOperations[] = {Operation::reveal, Operation::dealer_request,
                                         Operation::compare, Operation::handshake};
    expected.rule = peer.below(2) == 0 ? LengthRule::exact : LengthRule::at_most;
    expected.header = {.operation = kOperations[peer.below(std::size(kOperations))],
                       .dtype = static_cast<DType>(peer.below(3)),
                       .lane = static_cast<uint8_t>(lane_),
                       .sender = 0,
                       .session = kSession,
                       .sequence = sequence_++,
                       .length = peer.below(40)};
    const FrameHeader& h = expected.header;
    return expected.rule == LengthRule::exact
               ? channel_.receive(0, lane_, h.operation, h.dtype, h.length)
               : channel_.receive_up_to(0, lane_, h.operation, h.dtype, h.length);
  }

 private:
  Channel& channel_;
  int lane_;
  uint64_t sequence_ = 0;
};

struct Outcome {
  size_t refused = 0, accepted = 0, good = 0;
};

// What the receive makes of the frame that comes.
void attack(Peer& peer, Target& target, int lane, bool hostile, size_t slack, Outcome& outcome) {
  Expected expected;
  const auto receive = target.expect(expected, peer);
  const size_t limit = kHeaderBytes + expected.header.length + slack;
  peer.send(lane, hostile ? peer.hostile(expected, limit) : peer.good(expected));
  try {
    receive->wait();
    ++(hostile ? outcome.accepted : outcome.good);
  } catch (const ProtocolError&) {
    ++outcome.refused;
  }
}

// Other classes of errors end the test.
Outcome bombard(const std::shared_ptr<Transport>& from, const std::shared_ptr<Transport>& to,
                size_t count, size_t slack, uint64_t seed) {
  Peer peer(from, seed);
  Channel channel(to, kSession, kTimeout);
  std::vector<Target> targets;
  for (int lane = 0; lane < kLaneCount; ++lane) targets.emplace_back(channel, lane);
  Outcome outcome;
  for (size_t i = 0; i < count; ++i) {
    const int lane = static_cast<int>(peer.below(kLaneCount));
    attack(peer, targets[lane], lane, true, slack, outcome);
    if (i % kHostileBetween == 0) attack(peer, targets[lane], lane, false, slack, outcome);
  }
  return outcome;
}

void expect_all_refused(const Outcome& outcome, size_t count) {
  EXPECT_EQ(outcome.accepted, 0u);
  EXPECT_EQ(outcome.refused, count);
  EXPECT_EQ(outcome.good, (count + kHostileBetween - 1) / kHostileBetween);
}

TEST(HostileFrames, AreRefusedInMemory) {
  constexpr size_t kCount = 70'000;
  MemoryHub hub(2);
  expect_all_refused(bombard(hub.transport(0), hub.transport(1), kCount, 64, 1), kCount);
}

TEST(HostileFrames, AreRefusedInSharedMemory) {
  constexpr size_t kCount = 70'000;
  auto links = local_ranks(2);
  const auto from = make_shared_memory_transport(std::move(links[0]), 0);
  const auto to = make_shared_memory_transport(std::move(links[1]), 1);
  expect_all_refused(bombard(from, to, kCount, 64, 5), kCount);
}

// The 8 bytes in front of a frame in the ring. What they claim is waited for behind the frame.
TEST(HostileFrames, AFalseSizeInSharedMemoryIsRefused) {
  for (const uint64_t size : {uint64_t{1} << 60, ~uint64_t{0}, uint64_t{1} << 31}) {
    auto links = local_ranks(2);
    const auto from = make_shared_memory_transport(std::move(links[0]), 0);
    Channel channel(make_shared_memory_transport(std::move(links[1]), 1), kSession,
                    milliseconds(50));
    const auto receive = channel.receive(0, kPartyLane, Operation::test, DType::bytes, 8);
    const auto behind = channel.receive(0, kPartyLane, Operation::test, DType::bytes, 8);
    const auto frame = frame_of(Content(kHeaderBytes + 200));
    std::memcpy(frame->prefix(), &size, sizeof size);
    from->post_send(1, kPartyLane, frame);
    EXPECT_THROW(receive->wait(), ProtocolError) << size;
    EXPECT_THROW(behind->wait(), PeerTimeout) << size;
  }
}

// Two ranks with certificates of one authority: the attacker has a valid one.
class EncryptedLink : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "hostile_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    crypto::make_authority(folder_, {});
    for (const char* rank : {"party0", "party1"}) crypto::make_certificate(folder_, rank, {});
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::vector<std::shared_ptr<Transport>> meet() const {
    Meeting meetings[2];
    std::vector<Address> addresses;
    for (Meeting& meeting : meetings) {
      meeting.listener = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      auto* const place = reinterpret_cast<sockaddr*>(&address);
      socklen_t size = sizeof address;
      EXPECT_EQ(::bind(meeting.listener, place, size), 0);
      EXPECT_EQ(::listen(meeting.listener, 16), 0);
      EXPECT_EQ(::getsockname(meeting.listener, place, &size), 0);
      addresses.push_back({"127.0.0.1", ntohs(address.sin_port)});
    }
    std::vector<std::shared_ptr<Transport>> transports(2);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      meetings[rank].rank = rank;
      meetings[rank].addresses = addresses;
      meetings[rank].names = {"party0", "party1"};
      threads.emplace_back([&, rank] {
        const std::string own = folder_ + "/party" + std::to_string(rank);
        const TlsContext context({folder_ + "/authority.pem", own + ".pem", own + ".key"});
        transports[rank] = make_tls_transport(context, meetings[rank]);
      });
    }
    for (auto& thread : threads) thread.join();
    return transports;
  }

  std::string folder_;
};

TEST_F(EncryptedLink, RefusesHostileFrames) {
  constexpr size_t kCount = 30'000;
  const auto transports = meet();
  // One byte too many is what a receive has room for.
  expect_all_refused(bombard(transports[0], transports[1], kCount, 1, 2), kCount);
}

TEST_F(EncryptedLink, AFrameThatIsTooLongIsRefused) {
  for (const size_t more : {2, 100, 1 << 20}) {
    const auto transports = meet();
    Peer peer(transports[0], 3);
    Channel channel(transports[1], kSession, kTimeout);
    Expected expected;
    Target target(channel, kPartyLane);
    const auto receive = target.expect(expected, peer);
    const auto behind = target.expect(expected, peer);
    std::thread sending([&] {
      try {
        peer.send(kPartyLane, Content(kHeaderBytes + 40 + more));
      } catch (const PeerLost&) {  // closed while it sends
      }
    });
    EXPECT_THROW(receive->wait(), ProtocolError) << more;
    EXPECT_THROW(behind->wait(), Error) << more;  // closed, or the rest taken for a frame
    sending.join();
  }
}

// The 8 bytes in front of a frame on the wire.
TEST_F(EncryptedLink, AFalseSizeInFrontOfAFrameIsRefused) {
  for (const uint64_t size : {uint64_t{1} << 60, ~uint64_t{0}, uint64_t{1} << 31}) {
    const auto transports = meet();
    Channel channel(transports[1], kSession, kTimeout);
    const auto receive = channel.receive(0, kPartyLane, Operation::test, DType::bytes, 8);
    const auto frame = frame_of(Content(kHeaderBytes + 200));
    std::memcpy(frame->prefix(), &size, sizeof size);
    transports[0]->post_send(1, kPartyLane, frame);
    EXPECT_THROW(receive->wait(), ProtocolError) << size;
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
size_t address_space() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

// Any allocation beyond one more MiB fails while the limit holds.
class AddressSpaceLimit {
 public:
  AddressSpaceLimit() {
    ::malloc_trim(0);  // what earlier tests freed could be allocated again
    ::getrlimit(RLIMIT_AS, &before_);
    const rlimit tight{address_space() + (size_t{1} << 20), before_.rlim_max};
    ::setrlimit(RLIMIT_AS, &tight);
  }
  ~AddressSpaceLimit() { ::setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

TEST(HostileFrames, AClaimOfAnyLengthAllocatesLessThanOneMebibyte) {
  MemoryHub hub(2);
  Channel channel(hub.transport(1), kSession, kTimeout);
  Peer peer(hub.transport(0), 4);
  for (const LengthRule rule : {LengthRule::exact, LengthRule::at_most}) {
    for (const uint64_t claim : {uint64_t{8} << 60, uint64_t{1} << 60, uint64_t{1} << 30}) {
      const AddressSpaceLimit limit;
      static uint64_t sequence = 0;
      FrameHeader header{.session = kSession, .sequence = sequence++, .length = claim};
      const auto receive =
          rule == LengthRule::exact
              ? channel.receive(0, kPartyLane, header.operation, header.dtype, 1000)
              : channel.receive_up_to(0, kPartyLane, header.operation, header.dtype, 1000);
      Content frame(kHeaderBytes + 1000);
      write(header, frame.data());
      peer.send(kPartyLane, frame);
      EXPECT_THROW(receive->wait(), ProtocolError) << claim;
    }
  }
  const AddressSpaceLimit limit;
  EXPECT_THROW(Content(size_t{64} << 20), std::bad_alloc) << "the limit does not hold";
}
#endif

}  // namespace
}  // namespace cryptensor::net
