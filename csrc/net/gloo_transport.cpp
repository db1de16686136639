// SPDX-License-Identifier: MIT
#include "net/gloo_transport.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ATen/ops/from_blob.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

using Work = c10::intrusive_ptr<c10d::Work>;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Gloo ends the process when a message is longer than the receive that it meets, and does not tell
// how long a shorter one was. So a frame travels behind its size, cut into parts at places that do
// not depend on its size, and a receive has room for whole parts: frames of any two sizes may meet
// without harm. A frame of up to 64 KiB is still one message, and all receives can be posted early.
constexpr size_t kFirstPart = size_t{64} << 10;
constexpr size_t kGrowth = 4;
constexpr int kMaxParts = 20;  // more than the address space

// The first parts of a lane share a tag and so keep their order. The other parts have tags of their
// own frame, as they may be posted in another order.
constexpr int kMaxLanes = 256;
constexpr int kNumberedFrames = 256;
constexpr auto kSpin = std::chrono::microseconds(100);
constexpr int kAbortTag = kMaxLanes * (kNumberedFrames + 1) * kMaxParts;

int tag(int lane, uint64_t frame_number, int part) {
  if (part == 0) return lane;
  const int numbered = static_cast<int>(frame_number % kNumberedFrames) + 1;
  return (numbered * kMaxLanes + lane) * kMaxParts + part;
}

struct Part {
  size_t offset;
  size_t room;
};

Part part_at(int index) {
  Part part{0, kFirstPart};
  for (; index > 0; --index) {
    part.offset += part.room;
    part.room *= kGrowth;
  }
  return part;
}

int parts_of(size_t bytes) {
  int count = 1;
  for (Part part{0, kFirstPart}; part.offset + part.room < bytes; ++count) {
    part.offset += part.room;
    part.room *= kGrowth;
  }
  return count;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// Gloo's errors differ only in their text: "[file:line] cause. Advice".
[[noreturn]] void translate(const std::exception& error) {
  if (const auto* of_torch = dynamic_cast<const c10::Error*>(&error)) {
    throw Error(of_torch->what_without_backtrace());
  }
  std::string text = error.what();
  if (contains(text, "enforce fail")) throw Error(text);
  const size_t place = text.find("] ");
  if (!text.empty() && text[0] == '[' && place != std::string::npos) text.erase(0, place + 2);
  text.resize(std::min(text.size(), text.find(". ")));
  if (contains(text, "Timed out")) throw PeerTimeout(text);
  if (contains(text, "pair closure")) throw PeerLost("another operation timed out before");
  // "Connection closed by peer", "reset by peer", "Broken pipe" and the many ways in which a
  // network can be unreachable.
  throw PeerLost(text);
}

// A receive of a first part, posted before anybody has asked for the frame: a Gloo send waits for
// the peer's receive, so one that comes late costs the sender half a round trip.
struct Early {
  std::shared_ptr<Bytes> part;
  Work work;
};

// What the transport and its pending operations share.
class Link {
 public:
  explicit Link(c10d::Backend* backend)
      : backend_(c10::intrusive_ptr<c10d::Backend>::reclaim_copy(backend)),
        sent_(static_cast<size_t>(size()) * kMaxLanes),
        received_(sent_.size()),
        early_(sent_.size()) {}

  int rank() const { return backend_->getRank(); }
  int size() const { return backend_->getSize(); }

  // Frames of the lane so far: the same number for the sender and the receiver of a frame.
  uint64_t next_send(int peer, int lane) { return sent_.at(peer * kMaxLanes + lane)++; }
  uint64_t next_receive(int peer, int lane) { return received_.at(peer * kMaxLanes + lane)++; }

  // The tensor keeps `owner` for as long as Gloo may touch the bytes.
  Work send(int peer, int tag, const uint8_t* bytes, size_t size,
            std::shared_ptr<const void> owner) {
    std::vector<at::Tensor> tensors{tensor(const_cast<uint8_t*>(bytes), size, std::move(owner))};
    return post([&] { return backend_->send(tensors, peer, tag); });
  }
  Work receive(int peer, int tag, uint8_t* bytes, size_t size, std::shared_ptr<const void> owner) {
    std::vector<at::Tensor> tensors{tensor(bytes, size, std::move(owner))};
    return post([&] { return backend_->recv(tensors, peer, tag); });
  }

  // The first part of the lane's next frame; that of the frame behind it is posted as well.
  Early take_early(int peer, int lane) {
    Early& waiting = early_.at(peer * kMaxLanes + lane);
    Early taken = waiting.part ? std::move(waiting) : post_early(peer, lane);
    waiting = post_early(peer, lane);
    return taken;
  }

  void wait(Work& work, Clock::time_point deadline) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    try {
      if (work->wait(std::max(left, milliseconds(1)))) return;  // 0 would mean no limit
    } catch (const std::exception& error) {
      check_aborted();
      translate(error);
    }
    throw PeerLost("the operation was aborted");
  }

  void abandon(std::vector<Work> works) {
    const std::lock_guard lock(mutex_);
    abandoned_.insert(abandoned_.end(), works.begin(), works.end());
  }

  // Gloo closes the connections of the whole group when a wait times out, which wakes everybody,
  // here and at the peers. It has no direct way to do so, and a peer that is gone times nothing
  // out.
  void abort() {
    if (aborted_.exchange(true)) return;
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank()) continue;
      try {
        auto byte = std::make_shared<uint8_t>();
        std::vector<at::Tensor> tensors{tensor(byte.get(), 1, byte)};
        Work work = backend_->recv(tensors, peer, kAbortTag);
        work->wait(milliseconds(1));
      } catch (const std::exception&) {  // the purpose, or this connection was closed before
      }
    }
  }

 private:
  static at::Tensor tensor(uint8_t* bytes, size_t size, std::shared_ptr<const void> owner) {
    return at::from_blob(
        bytes, {static_cast<int64_t>(size)}, [owner = std::move(owner)](void*) {},
        at::TensorOptions(at::kByte));
  }

  Early post_early(int peer, int lane) {
    auto part = std::make_shared<Bytes>(kFirstPart - Bytes::kPrefixBytes);
    std::memset(part->prefix(), 0, Bytes::kPrefixBytes);
    Work work = receive(peer, tag(lane, 0, 0), part->prefix(), kFirstPart, part);
    return {std::move(part), std::move(work)};
  }

  void check_aborted() const {
    if (aborted_) throw PeerLost("this party has aborted");
  }

  template <class Operation>
  Work post(Operation operation) {
    check_aborted();
    try {
      return operation();
    } catch (const std::exception& error) {
      translate(error);
    }
  }

  c10::intrusive_ptr<c10d::Backend> backend_;
  std::atomic<bool> aborted_{false};
  std::vector<uint64_t> sent_;
  std::vector<uint64_t> received_;
  std::vector<Early> early_;
  std::mutex mutex_;
  std::vector<Work> abandoned_;
};

// The parts of one frame under way. Gloo may touch their memory until each was waited for.
class Works {
 public:
  explicit Works(std::shared_ptr<Link> link) : link_(std::move(link)) {}
  ~Works() {
    if (!works_.empty()) link_->abandon(std::move(works_));
  }

  Link& link() { return *link_; }
  int size() const { return static_cast<int>(works_.size()); }
  void add(Work work) { works_.push_back(std::move(work)); }
  void wait(int index, Clock::time_point deadline) { link_->wait(works_[index], deadline); }
  void finished() { works_.clear(); }

 private:
  std::shared_ptr<Link> link_;
  std::vector<Work> works_;
};

class GlooSend : public Pending {
 public:
  GlooSend(std::shared_ptr<Link> link, int peer, int lane,
           const std::shared_ptr<const Bytes>& frame)
      : works_(std::move(link)) {
    const uint64_t number = works_.link().next_send(peer, lane);
    const size_t bytes = Bytes::kPrefixBytes + frame->size();
    const int count = parts_of(bytes);
    for (int i = 0; i < count; ++i) {
      const Part part = part_at(i);
      works_.add(works_.link().send(peer, tag(lane, number, i), frame->prefix() + part.offset,
                                    std::min(part.room, bytes - part.offset), frame));
    }
  }

  void wait(milliseconds timeout) override {
    const Clock::time_point deadline = Clock::now() + timeout;
    for (int i = 0; i < works_.size(); ++i) works_.wait(i, deadline);
    works_.finished();
  }

 private:
  Works works_;
};

class GlooReceive : public Pending {
 public:
  GlooReceive(std::shared_ptr<Link> link, int peer, int lane, std::shared_ptr<Bytes> frame,
              LengthRule rule)
      : works_(std::move(link)),
        peer_(peer),
        lane_(lane),
        number_(works_.link().next_receive(peer, lane)),
        frame_(std::move(frame)),
        exact_(rule == LengthRule::exact) {
    Early early = works_.link().take_early(peer, lane);
    first_ = std::move(early.part);
    works_.add(std::move(early.work));
    // A receive that the sender does not need would stay behind in Gloo: where the size is not
    // known, the later parts are posted when the first one has told it. (Given up before that, it
    // takes the first part only, and the sender of a longer frame runs into its timeout.)
    post(exact_ ? parts_of(Bytes::kPrefixBytes + frame_->size()) : 1);
  }

  void wait(milliseconds timeout) override {
    const Clock::time_point deadline = Clock::now() + timeout;
    spin();
    works_.wait(0, deadline);
    const uint64_t arrived = first_->size_in_prefix();
    const size_t here = std::min(Bytes::kPrefixBytes + arrived, kFirstPart);
    std::memcpy(frame_->prefix(), first_->prefix(),
                std::min(here, Bytes::kPrefixBytes + frame_->capacity()));
    const bool fits = exact_ ? arrived == frame_->size() : arrived <= frame_->size();
    if (fits) {
      post(parts_of(Bytes::kPrefixBytes + arrived));
      for (int i = 1; i < works_.size(); ++i) works_.wait(i, deadline);
      works_.finished();
    }
    // Otherwise the frame is refused by its size, and the rest of it stays where it is.
    frame_->resize(arrived);
  }

 private:
  // Blocks in Gloo only when nothing has come for a while: waking an idle core takes longer than
  // most rounds. What it sees is a hint; Gloo says when the part is complete.
  void spin() const {
    const auto* size = reinterpret_cast<const volatile uint64_t*>(first_->prefix());
    const Clock::time_point end = Clock::now() + kSpin;
    while (*size == 0 && Clock::now() < end) std::this_thread::yield();
  }

  void post(int count) {
    for (int i = works_.size(); i < count; ++i) {
      const Part part = part_at(i);
      works_.add(works_.link().receive(peer_, tag(lane_, number_, i),
                                       frame_->prefix() + part.offset, part.room, frame_));
    }
  }

  Works works_;
  int peer_;
  int lane_;
  uint64_t number_;
  std::shared_ptr<Bytes> first_;  // of the frame: its first part, where it arrives
  std::shared_ptr<Bytes> frame_;
  bool exact_;
};

class GlooTransport : public Transport {
 public:
  explicit GlooTransport(c10d::Backend* backend) : link_(std::make_shared<Link>(backend)) {}

  int rank() const override { return link_->rank(); }
  int size() const override { return link_->size(); }

  size_t receive_capacity(size_t frame_bytes) const override {
    // A first part arrives in memory of its own.
    if (Bytes::kPrefixBytes + frame_bytes <= kFirstPart) return frame_bytes;
    const Part last = part_at(parts_of(Bytes::kPrefixBytes + frame_bytes) - 1);
    return last.offset + last.room - Bytes::kPrefixBytes;
  }

  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override {
    return std::make_unique<GlooSend>(link_, peer, lane, frame);
  }

  std::unique_ptr<Pending> post_receive(int peer, int lane, std::shared_ptr<Bytes> frame,
                                        LengthRule rule) override {
    return std::make_unique<GlooReceive>(link_, peer, lane, std::move(frame), rule);
  }

  void abort() override { link_->abort(); }

 private:
  std::shared_ptr<Link> link_;
};

}  // namespace

std::shared_ptr<Transport> make_gloo_transport(c10d::Backend* backend) {
  return std::make_shared<GlooTransport>(backend);
}

}  // namespace cryptensor::net
