// SPDX-License-Identifier: MIT
#include "net/decorators.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <thread>
#include <utility>

#include "core/errors.h"

namespace cryptensor::net {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

Operation TraceTransport::Sent::operation() const {
  uint16_t number = 0;
  if (frame.size() >= kHeaderBytes) std::memcpy(&number, &frame[6], sizeof number);
  return static_cast<Operation>(number);
}

std::unique_ptr<Pending> TraceTransport::post_send(int peer, int lane,
                                                   std::shared_ptr<const Bytes> frame) {
  {
    const std::lock_guard lock(mutex_);
    const auto bytes = frame->span();
    sent_.push_back({peer, lane, {bytes.begin(), bytes.end()}});
  }
  return inner_->post_send(peer, lane, std::move(frame));
}

std::vector<TraceTransport::Sent> TraceTransport::frames() const {
  const std::lock_guard lock(mutex_);
  return sent_;
}

void TraceTransport::clear() {
  const std::lock_guard lock(mutex_);
  sent_.clear();
}

namespace {

// The send of a frame that may not have been posted yet.
class Departure {
 public:
  void posted(std::unique_ptr<Pending> pending, std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      pending_ = std::move(pending);
      error_ = error;
      posted_ = true;
    }
    changed_.notify_all();
  }

  void wait(milliseconds timeout) {
    const Clock::time_point deadline = Clock::now() + timeout;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_until(lock, deadline, [this] { return posted_; })) {
        throw PeerTimeout("the delay of the link is longer than the timeout");
      }
    }
    if (error_) std::rethrow_exception(error_);
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    pending_->wait(std::max(left, milliseconds(1)));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool posted_ = false;
  std::unique_ptr<Pending> pending_;
  std::exception_ptr error_;
};

class DelayedSend : public Pending {
 public:
  explicit DelayedSend(std::shared_ptr<Departure> departure) : departure_(std::move(departure)) {}
  void wait(milliseconds timeout) override { departure_->wait(timeout); }

 private:
  std::shared_ptr<Departure> departure_;
};

class SeveralSends : public Pending {
 public:
  explicit SeveralSends(std::vector<std::unique_ptr<Pending>> sends) : sends_(std::move(sends)) {}
  void wait(milliseconds timeout) override {
    for (auto& send : sends_) send->wait(timeout);
  }

 private:
  std::vector<std::unique_ptr<Pending>> sends_;
};

std::shared_ptr<Bytes> copied(const Bytes& frame, size_t size) {
  auto copy = std::make_shared<Bytes>(size);
  const size_t common = std::min(size, frame.size());
  std::memcpy(copy->data(), frame.data(), common);
  std::memset(copy->data() + common, 0, size - common);
  return copy;
}

}  // namespace

// Frames on their way, and the thread that posts each when it is due.
class DelayTransport::Line {
 public:
  Line(std::shared_ptr<Transport> transport, std::chrono::microseconds latency,
       std::optional<double> bytes_per_second)
      : transport_(std::move(transport)),
        latency_(latency),
        bytes_per_second_(bytes_per_second),
        free_(transport_->size()),
        thread_([this] { run(); }) {}

  ~Line() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  std::shared_ptr<Departure> add(int peer, int lane, std::shared_ptr<const Bytes> frame) {
    auto departure = std::make_shared<Departure>();
    {
      const std::lock_guard lock(mutex_);
      const Clock::time_point out = std::max(free_[peer], Clock::now()) + on_the_wire(*frame);
      free_[peer] = out;
      items_.emplace(out + latency_, Item{peer, lane, std::move(frame), departure});
    }
    changed_.notify_all();
    return departure;
  }

 private:
  struct Item {
    int peer;
    int lane;
    std::shared_ptr<const Bytes> frame;
    std::shared_ptr<Departure> departure;
  };

  Clock::duration on_the_wire(const Bytes& frame) const {
    if (!bytes_per_second_) return {};
    const std::chrono::duration<double> seconds(static_cast<double>(frame.size()) /
                                                *bytes_per_second_);
    return std::chrono::duration_cast<Clock::duration>(seconds);
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
      if (closed_) return;
      // A frame to another peer may come to be due before the one that was due first.
      if (const auto due = items_.begin()->first; Clock::now() < due) {
        changed_.wait_until(lock, due);
        continue;
      }
      Item item = std::move(items_.extract(items_.begin()).mapped());
      lock.unlock();
      post(std::move(item));
      lock.lock();
    }
  }

  void post(Item item) {
    std::unique_ptr<Pending> pending;
    std::exception_ptr error;
    try {
      pending = transport_->post_send(item.peer, item.lane, std::move(item.frame));
    } catch (...) {
      error = std::current_exception();
    }
    item.departure->posted(std::move(pending), error);
  }

  std::shared_ptr<Transport> transport_;
  std::chrono::microseconds latency_;
  std::optional<double> bytes_per_second_;
  std::vector<Clock::time_point> free_;  // by peer: when the link has sent all that was given to it
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Clock::time_point, Item> items_;  // by when they are due, in order
  bool closed_ = false;
  std::thread thread_;  // last: it uses all of the above
};

DelayTransport::DelayTransport(std::shared_ptr<Transport> inner, std::chrono::microseconds latency,
                               std::optional<double> bytes_per_second)
    : TransportDecorator(std::move(inner)),
      line_(std::make_shared<Line>(inner_, latency, bytes_per_second)) {}

DelayTransport::~DelayTransport() = default;

std::unique_ptr<Pending> DelayTransport::post_send(int peer, int lane,
                                                   std::shared_ptr<const Bytes> frame) {
  return std::make_unique<DelayedSend>(line_->add(peer, lane, std::move(frame)));
}

FaultTransport::FaultTransport(std::shared_ptr<Transport> inner, Fault fault)
    : TransportDecorator(std::move(inner)), fault_(std::move(fault)) {}

std::unique_ptr<Pending> FaultTransport::post_send(int peer, int lane,
                                                   std::shared_ptr<const Bytes> frame) {
  const std::lock_guard lock(mutex_);
  std::vector<std::unique_ptr<Pending>> sends;
  for (auto& other : fault_(peer, lane, std::move(frame))) {
    sends.push_back(inner_->post_send(peer, lane, std::move(other)));
  }
  return std::make_unique<SeveralSends>(std::move(sends));
}

std::shared_ptr<const Bytes> resized(const Bytes& frame, size_t size) {
  return copied(frame, size);
}

std::shared_ptr<const Bytes> flipped(const Bytes& frame, size_t bit) {
  std::shared_ptr<Bytes> copy = copied(frame, frame.size());
  copy->data()[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
  return copy;
}

}  // namespace cryptensor::net
