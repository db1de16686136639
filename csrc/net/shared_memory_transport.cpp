// SPDX-License-Identifier: MIT
#include "net/shared_memory_transport.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "core/errors.h"
#include "net/transfer_line.h"

namespace cryptensor::net {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long somebody sleeps at most before he looks whether his peer is there, or whether frames of
// others wait for him that keep them from going on. Waking comes with what is waited for.
constexpr milliseconds kFirstSlice{2};
constexpr milliseconds kLongestSlice{100};

// What is known of a peer besides its memory.
struct Presence {
  int rank;
  std::atomic<bool> lost{false};

  std::string name() const { return "peer " + std::to_string(rank); }
  void check() const {
    if (lost.load(std::memory_order_acquire)) throw PeerLost(name() + " has ended or aborted");
  }
  // Runs what believes the peer's memory, and says whose it is.
  template <class Work>
  auto trusting(Work work) const {
    try {
      return work();
    } catch (const ProtocolError& cause) {
      throw ProtocolError(name() + " is out of step: " + cause.what());
    }
  }
};

struct Sending {
  std::shared_ptr<const Bytes> frame;
  size_t sent = 0;  // of size and frame
  std::shared_ptr<Transfer> transfer;

  std::span<const uint8_t> rest() const {
    return std::span(frame->prefix(), Bytes::kPrefixBytes + frame->size()).subspan(sent);
  }
};

// Frames to one peer on one lane. What finds no room in the ring waits for it in a thread.
class Outgoing : public TransferLine<Sending> {
 public:
  Outgoing(RingMemory& memory, const Presence& peer) : ring_(memory), peer_(peer) {}
  ~Outgoing() override {
    close();
    stop();
  }

  // Null: the frame is in the ring.
  std::shared_ptr<Transfer> post(std::shared_ptr<const Bytes> frame) {
    peer_.check();
    Sending job{std::move(frame), 0, nullptr};
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    if (jobs_.empty()) {
      job.sent = peer_.trusting([&] { return ring_.write_some(job.rest()); });
      if (job.rest().empty()) return nullptr;
    }
    auto transfer = job.transfer = std::make_shared<Transfer>();
    put(std::move(job));
    return transfer;
  }

  void close() {
    close_line();
    interrupt();
  }
  void interrupt() { ring_.interrupt(); }

 private:
  void move(Sending& job) override {
    for (;;) {
      job.sent += peer_.trusting([&] { return ring_.write_some(job.rest()); });
      if (job.rest().empty()) return;
      peer_.check();
      if (closed()) throw PeerLost("this party has aborted");
      ring_.wait(ring_.seen(), Clock::now() + kLongestSlice);
    }
  }

  RingWriter ring_;
  const Presence& peer_;
};

// A receive that was posted.
struct Receiving {
  std::shared_ptr<Bytes> frame;
  std::atomic<bool> done{false};
};

// Frames from one peer on one lane. Nothing moves but when a thread looks that uses the lane: the
// one that waits for the peer, or one that waits for another.
class Incoming {
 public:
  Incoming(RingMemory& memory, const Presence& peer) : ring_(memory), peer_(peer) {}

  std::shared_ptr<Receiving> post(std::shared_ptr<Bytes> frame) {
    auto job = std::make_shared<Receiving>(std::move(frame));
    const std::lock_guard lock(mutex_);
    jobs_.push_back(job);
    return job;
  }

  // Moves what is there into the receives, the oldest first. Returns the peer's count after that.
  uint32_t drain() {
    const std::lock_guard lock(mutex_);
    return peer_.trusting([this] {
      while (!jobs_.empty() && advance(*jobs_.front())) {
        jobs_.front()->done.store(true, std::memory_order_release);
        jobs_.pop_front();
      }
      ring_.release();
      return ring_.seen();
    });
  }

  bool wait(uint32_t seen, Clock::time_point deadline) { return ring_.wait(seen, deadline); }
  void interrupt() { ring_.interrupt(); }
  const Presence& peer() const { return peer_; }

 private:
  // True when the frame is complete.
  bool advance(Receiving& job) {
    // Of a frame that was longer than its receive.
    excess_ -= excess_ == 0 ? 0 : ring_.skip_some(excess_);
    if (excess_ > 0) return false;
    if (got_ < sizeof size_) {
      got_ += ring_.read_some({size_.data() + got_, sizeof size_ - got_});
      if (got_ < sizeof size_) return false;
      uint64_t size;
      std::memcpy(&size, size_.data(), sizeof size);
      job.frame->resize(std::min<uint64_t>(size, job.frame->capacity()));
      cut_ = size - job.frame->size();
    }
    const size_t at = got_ - sizeof size_;
    got_ += ring_.read_some({job.frame->data() + at, job.frame->size() - at});
    if (got_ < sizeof size_ + job.frame->size()) return false;
    got_ = 0;
    excess_ = cut_;
    return true;
  }

  std::mutex mutex_;
  RingReader ring_;
  const Presence& peer_;
  std::deque<std::shared_ptr<Receiving>> jobs_;
  std::array<uint8_t, 8> size_{};
  size_t got_ = 0;  // of size and frame
  uint64_t cut_ = 0, excess_ = 0;
};

struct Peer {
  Peer(SharedLink own, int rank, bool is_higher) : link(std::move(own)), presence{rank} {
    auto& to = is_higher ? link.memory->upwards : link.memory->downwards;
    auto& from = is_higher ? link.memory->downwards : link.memory->upwards;
    for (int lane = 0; lane < kLaneCount; ++lane) {
      outgoing[lane] = std::make_unique<Outgoing>(to[lane], presence);
      incoming[lane] = std::make_unique<Incoming>(from[lane], presence);
    }
  }

  void interrupt() {
    for (int lane = 0; lane < kLaneCount; ++lane) {
      outgoing[lane]->interrupt();
      incoming[lane]->interrupt();
    }
  }

  SharedLink link;
  Presence presence;
  std::array<std::unique_ptr<Outgoing>, kLaneCount> outgoing;
  std::array<std::unique_ptr<Incoming>, kLaneCount> incoming;
};

// What the transport and its pending operations have in common.
class Links {
 public:
  Links(std::vector<SharedLink> links, int rank) : rank_(rank), peers_(links.size()) {
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank) {
        peers_[peer] = std::make_unique<Peer>(std::move(links[peer]), peer, peer > rank);
      }
    }
    if (!end_) throw Error("shared memory: no descriptor is left");
    watcher_ = std::thread([this] { watch(); });
  }
  ~Links() {
    const uint64_t one = 1;
    // Cannot fail: nobody else writes to it.
    [[maybe_unused]] const ssize_t written = ::write(end_.get(), &one, sizeof one);
    watcher_.join();
  }

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(peers_.size()); }

  Peer& peer(int peer, int lane) const {
    check();
    if (peer < 0 || peer >= size() || peer == rank_) {
      throw ConfigError("peer is " + std::to_string(peer) + "; allowed are other ranks below " +
                        std::to_string(size()));
    }
    if (lane < 0 || lane >= kLaneCount) {
      throw ConfigError("lane is " + std::to_string(lane) + "; allowed are 0 to " +
                        std::to_string(kLaneCount - 1));
    }
    return *peers_[peer];
  }

  void check() const {
    if (aborted_.load(std::memory_order_acquire)) throw PeerLost("this party has aborted");
  }

  // Takes in what came on the lane for receives that were posted. Their senders may wait for it.
  void drain(int lane) const {
    for (const auto& peer : peers_) {
      if (peer) peer->incoming[lane]->drain();
    }
  }

  void abort() {
    if (aborted_.exchange(true)) return;
    for (const auto& peer : peers_) {
      if (!peer) continue;
      ::shutdown(peer->link.socket.get(), SHUT_RDWR);  // which the peer sees
      for (const auto& line : peer->outgoing) line->close();
      peer->interrupt();
    }
  }

 private:
  // Until the end: a socket or a process that has ended is a lost peer.
  void watch() {
    std::vector<pollfd> watched{{end_.get(), POLLIN, 0}};
    std::vector<Peer*> whose{nullptr};
    for (const auto& peer : peers_) {
      if (!peer) continue;
      for (const Descriptor* one : {&peer->link.socket, &peer->link.process}) {
        watched.push_back({one->get(), POLLIN, 0});  // a negative number is passed over
        whose.push_back(peer.get());
      }
    }
    for (;;) {
      if (::poll(watched.data(), watched.size(), -1) < 0) continue;
      if (watched[0].revents != 0) return;
      for (size_t i = 1; i < watched.size(); ++i) {
        if (watched[i].revents == 0) continue;
        watched[i].fd = -1;
        whose[i]->presence.lost.store(true, std::memory_order_release);
        whose[i]->interrupt();
      }
    }
  }

  int rank_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::atomic<bool> aborted_{false};
  Descriptor end_{::eventfd(0, EFD_CLOEXEC)};
  std::thread watcher_;
};

class Sent : public Pending {
 public:
  Sent(std::shared_ptr<Links> links, int lane, std::shared_ptr<Transfer> transfer)
      : links_(std::move(links)), lane_(lane), transfer_(std::move(transfer)) {}

  void wait(milliseconds timeout) override {
    const Clock::time_point deadline = Clock::now() + timeout;
    while (!transfer_->wait(std::min(deadline, Clock::now() + kFirstSlice))) {
      links_->check();
      if (Clock::now() >= deadline) throw PeerTimeout("nothing moved");
      links_->drain(lane_);
    }
  }

 private:
  std::shared_ptr<Links> links_;
  int lane_;
  std::shared_ptr<Transfer> transfer_;
};

class Done : public Pending {
 public:
  void wait(milliseconds) override {}
};

class Arrival : public Pending {
 public:
  Arrival(std::shared_ptr<Links> links, Incoming& incoming, int lane,
          std::shared_ptr<Receiving> job)
      : links_(std::move(links)), incoming_(incoming), lane_(lane), job_(std::move(job)) {}

  void wait(milliseconds timeout) override {
    const Clock::time_point deadline = Clock::now() + timeout;
    milliseconds slice = kFirstSlice;
    for (;;) {
      links_->check();
      // Before the look: what a peer had sent before its end is read.
      const bool lost = incoming_.peer().lost.load(std::memory_order_acquire);
      const uint32_t seen = incoming_.drain();
      if (job_->done.load(std::memory_order_acquire)) return;
      if (lost) incoming_.peer().check();
      const Clock::time_point now = Clock::now();
      if (now >= deadline) throw PeerTimeout("nothing came from " + incoming_.peer().name());
      if (incoming_.wait(seen, std::min(deadline, now + slice))) {
        slice = kFirstSlice;
      } else {
        links_->drain(lane_);
        slice = std::min(2 * slice, kLongestSlice);
      }
    }
  }

 private:
  std::shared_ptr<Links> links_;
  Incoming& incoming_;
  int lane_;
  std::shared_ptr<Receiving> job_;
};

class SharedMemoryTransport : public Transport {
 public:
  explicit SharedMemoryTransport(std::shared_ptr<Links> links) : links_(std::move(links)) {}

  int rank() const override { return links_->rank(); }
  int size() const override { return links_->size(); }

  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override {
    auto transfer = links_->peer(peer, lane).outgoing[lane]->post(std::move(frame));
    if (transfer == nullptr) return std::make_unique<Done>();
    return std::make_unique<Sent>(links_, lane, std::move(transfer));
  }

  std::unique_ptr<Pending> post_receive(int peer, int lane, std::shared_ptr<Bytes> frame,
                                        LengthRule) override {
    Incoming& incoming = *links_->peer(peer, lane).incoming[lane];
    return std::make_unique<Arrival>(links_, incoming, lane, incoming.post(std::move(frame)));
  }

  void abort() override { links_->abort(); }

 private:
  std::shared_ptr<Links> links_;
};

}  // namespace

std::shared_ptr<Transport> make_shared_memory_transport(std::vector<SharedLink> links, int rank) {
  return std::make_shared<SharedMemoryTransport>(std::make_shared<Links>(std::move(links), rank));
}

}  // namespace cryptensor::net
