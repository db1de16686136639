// SPDX-License-Identifier: MIT
#include "net/memory_transport.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

// About 3 us. A thread that is put to sleep comes back later than the answer of a peer that runs.
constexpr int kSpins = 200;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Where one receive and one frame meet.
class Slot {
 public:
  void deliver(std::shared_ptr<const Bytes> frame) {
    {
      const std::lock_guard lock(mutex_);
      frame_ = std::move(frame);
      settled_.store(true, std::memory_order_release);
    }
    changed_.notify_one();
  }
  void lose() { deliver(nullptr); }

  bool wait(std::chrono::milliseconds timeout) {
    for (int i = 0; i < kSpins; ++i) {
      if (settled_.load(std::memory_order_acquire)) return true;
      relax();
    }
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [this] { return settled_.load(); });
  }

  // After wait() returned true; null when the sender is gone.
  const Bytes* frame() const { return frame_.get(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> settled_{false};
  std::shared_ptr<const Bytes> frame_;
};

// Of one sender and lane. At most one of the two queues holds something.
struct Mailbox {
  std::deque<std::shared_ptr<Slot>> receives;
  std::deque<std::shared_ptr<const Bytes>> frames;
};

struct Inbox {
  std::mutex mutex;
  std::map<std::pair<int, int>, Mailbox> mailboxes;  // by sender and lane
};

}  // namespace

class MemoryHub::Exchange {
 public:
  explicit Exchange(int size) : inboxes_(size), gone_(size) {}

  int size() const { return static_cast<int>(inboxes_.size()); }
  bool gone(int rank) const { return gone_[rank].load(); }

  void check_rank(const char* parameter, int rank) const {
    if (rank < 0 || rank >= size()) {
      throw ConfigError(std::string(parameter) + " is " + std::to_string(rank) +
                        ", expected 0 to " + std::to_string(size() - 1));
    }
  }

  void check_gone(int rank, int peer) const {
    if (gone(rank)) throw PeerLost("this party has aborted");
    if (gone(peer)) throw PeerLost("peer " + std::to_string(peer) + " has aborted");
  }

  void send(int from, int to, int lane, std::shared_ptr<const Bytes> frame) {
    Inbox& inbox = inboxes_[to];
    std::shared_ptr<Slot> slot;
    {
      const std::lock_guard lock(inbox.mutex);
      check_gone(from, to);
      Mailbox& mailbox = inbox.mailboxes[{from, lane}];
      if (mailbox.receives.empty()) {
        mailbox.frames.push_back(std::move(frame));
        return;
      }
      slot = std::move(mailbox.receives.front());
      mailbox.receives.pop_front();
    }
    slot->deliver(std::move(frame));
  }

  std::shared_ptr<Slot> receive(int from, int to, int lane) {
    auto slot = std::make_shared<Slot>();
    Inbox& inbox = inboxes_[to];
    const std::lock_guard lock(inbox.mutex);
    Mailbox& mailbox = inbox.mailboxes[{from, lane}];
    if (!mailbox.frames.empty()) {
      slot->deliver(std::move(mailbox.frames.front()));
      mailbox.frames.pop_front();
    } else if (gone(from) || gone(to)) {
      slot->lose();
    } else {
      mailbox.receives.push_back(slot);
    }
    return slot;
  }

  void abort(int rank) {
    gone_[rank].store(true);  // first: whoever takes an inbox after us sees it
    for (int owner = 0; owner < size(); ++owner) {
      Inbox& inbox = inboxes_[owner];
      const std::lock_guard lock(inbox.mutex);
      for (auto& [key, mailbox] : inbox.mailboxes) {
        if (owner != rank && key.first != rank) continue;
        for (const auto& slot : mailbox.receives) slot->lose();
        mailbox.receives.clear();
      }
    }
  }

 private:
  std::vector<Inbox> inboxes_;
  std::vector<std::atomic<bool>> gone_;
};

namespace {

class Sent : public Pending {
 public:
  void wait(std::chrono::milliseconds) override {}
};

// The thread that waits copies the frame: nobody writes to the memory of a receive that was given
// up, while its slot stays in line for the frame.
class Arrival : public Pending {
 public:
  Arrival(std::shared_ptr<MemoryHub::Exchange> exchange, int rank, int peer,
          std::shared_ptr<Slot> slot, std::shared_ptr<Bytes> frame)
      : exchange_(std::move(exchange)),
        rank_(rank),
        peer_(peer),
        slot_(std::move(slot)),
        frame_(std::move(frame)) {}

  void wait(std::chrono::milliseconds timeout) override {
    const bool settled = slot_->wait(timeout);
    if (exchange_->gone(rank_)) throw PeerLost("this party has aborted");
    if (!settled) throw PeerTimeout("nothing came from peer " + std::to_string(peer_));
    const Bytes* source = slot_->frame();
    if (source == nullptr) throw PeerLost("peer " + std::to_string(peer_) + " has aborted");
    frame_->resize(source->size());
    std::memcpy(frame_->data(), source->data(), frame_->size());
  }

 private:
  std::shared_ptr<MemoryHub::Exchange> exchange_;
  int rank_;
  int peer_;
  std::shared_ptr<Slot> slot_;
  std::shared_ptr<Bytes> frame_;
};

class MemoryTransport : public Transport {
 public:
  MemoryTransport(std::shared_ptr<MemoryHub::Exchange> exchange, int rank)
      : exchange_(std::move(exchange)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return exchange_->size(); }

  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override {
    exchange_->check_rank("peer", peer);
    exchange_->send(rank_, peer, lane, std::move(frame));
    return std::make_unique<Sent>();
  }

  std::unique_ptr<Pending> post_receive(int peer, int lane, std::shared_ptr<Bytes> frame,
                                        LengthRule) override {
    exchange_->check_rank("peer", peer);
    return std::make_unique<Arrival>(exchange_, rank_, peer, exchange_->receive(peer, rank_, lane),
                                     std::move(frame));
  }

  void abort() override { exchange_->abort(rank_); }

 private:
  std::shared_ptr<MemoryHub::Exchange> exchange_;
  int rank_;
};

}  // namespace

MemoryHub::MemoryHub(int size) {
  if (size < 1) throw ConfigError("size is " + std::to_string(size) + ", expected at least 1");
  exchange_ = std::make_shared<Exchange>(size);
}

std::shared_ptr<Transport> MemoryHub::transport(int rank) {
  exchange_->check_rank("rank", rank);
  return std::make_shared<MemoryTransport>(exchange_, rank);
}

void MemoryHub::abort(int rank) {
  exchange_->check_rank("rank", rank);
  exchange_->abort(rank);
}

}  // namespace cryptensor::net
