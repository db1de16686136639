// SPDX-License-Identifier: MIT
#include "net/tls_transport.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "net/channel.h"
#include "net/transfer_line.h"

namespace cryptensor::net {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kSpin = std::chrono::microseconds(50);
// The threads end when their connection is closed; until then they may wait as long as it takes.
constexpr auto kForever = std::chrono::hours(24 * 365);

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class TransferPending : public Pending {
 public:
  explicit TransferPending(std::shared_ptr<Transfer> transfer) : transfer_(std::move(transfer)) {}
  void wait(std::chrono::milliseconds timeout) override {
    const auto now = Clock::now();
    while (!transfer_->done() && Clock::now() < now + kSpin) relax();
    if (!transfer_->wait(now + timeout)) throw PeerTimeout("nothing moved");
  }

 private:
  std::shared_ptr<Transfer> transfer_;
};

// One direction of a connection.
template <class Job>
class Line : public TransferLine<Job> {
 public:
  explicit Line(std::unique_ptr<TlsStream> stream) : stream_(std::move(stream)) {}

  void close() {
    stream_->close();
    this->close_line();
  }

 protected:
  void stop() {
    close();
    TransferLine<Job>::stop();
  }

  std::unique_ptr<TlsStream> stream_;
};

struct Sending {
  std::shared_ptr<const Bytes> frame;
  size_t sent = 0;  // of size and frame
  std::shared_ptr<Transfer> transfer;

  std::span<const uint8_t> rest() const {
    return std::span(frame->prefix(), Bytes::kPrefixBytes + frame->size()).subspan(sent);
  }
};

class Outgoing : public Line<Sending> {
 public:
  using Line::Line;
  ~Outgoing() override { stop(); }

  std::unique_ptr<Pending> post(std::shared_ptr<const Bytes> frame) {
    Sending job{std::move(frame), 0, std::make_shared<Transfer>()};
    auto pending = std::make_unique<TransferPending>(job.transfer);
    const std::lock_guard lock(mutex_);
    if (jobs_.empty() && !failure_) {
      // What fits the socket goes at once; a thread takes the rest.
      try {
        job.sent = stream_->write_some(job.rest());
      } catch (...) {
        fail(std::current_exception());
      }
      if (!failure_ && job.rest().empty()) {
        job.transfer->finish();
        return pending;
      }
    }
    put(std::move(job));
    return pending;
  }

 private:
  void move(Sending& job) override { stream_->write(job.rest(), Clock::now() + kForever); }
};

struct Receiving {
  std::shared_ptr<Bytes> frame;
  std::shared_ptr<Transfer> transfer;
};

class Incoming : public Line<Receiving> {
 public:
  using Line::Line;
  ~Incoming() override { stop(); }

  std::unique_ptr<Pending> post(std::shared_ptr<Bytes> frame) {
    Receiving job{std::move(frame), std::make_shared<Transfer>()};
    auto pending = std::make_unique<TransferPending>(job.transfer);
    const std::lock_guard lock(mutex_);
    put(std::move(job));
    return pending;
  }

 private:
  void move(Receiving& job) override {
    if (cut_) throw PeerLost("a frame that was too long came before");
    const auto forever = Clock::now() + kForever;
    uint64_t size = 0;
    stream_->read({reinterpret_cast<uint8_t*>(&size), sizeof size}, forever);
    const bool fits = size <= job.frame->capacity();
    const size_t taken = fits ? size : job.frame->capacity();
    job.frame->resize(taken);
    stream_->read({job.frame->data(), taken}, forever);
    // The frame is cut, which its receiver sees; what is left of it is nothing to wait for.
    if (!fits) stream_->close();
    cut_ = !fits;
  }

  bool cut_ = false;
};

class TlsTransport : public Transport {
 public:
  TlsTransport(Connections connections, int rank, int size) : rank_(rank), size_(size) {
    outgoing_.resize(connections.outgoing.size());
    incoming_.resize(connections.incoming.size());
    for (size_t i = 0; i < outgoing_.size(); ++i) {
      if (connections.outgoing[i]) {
        outgoing_[i] = std::make_unique<Outgoing>(std::move(connections.outgoing[i]));
        incoming_[i] = std::make_unique<Incoming>(std::move(connections.incoming[i]));
      }
    }
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Pending> post_send(int peer, int lane,
                                     std::shared_ptr<const Bytes> frame) override {
    return outgoing_[line(peer, lane)]->post(std::move(frame));
  }

  std::unique_ptr<Pending> post_receive(int peer, int lane, std::shared_ptr<Bytes> frame,
                                        LengthRule) override {
    return incoming_[line(peer, lane)]->post(std::move(frame));
  }

  void abort() override {
    aborted_ = true;
    for (const auto& l : outgoing_) {
      if (l) l->close();
    }
    for (const auto& l : incoming_) {
      if (l) l->close();
    }
  }

 private:
  size_t line(int peer, int lane) const {
    if (aborted_) throw PeerLost("this party has aborted");
    if (peer < 0 || peer >= size_ || peer == rank_) {
      throw ConfigError("peer is " + std::to_string(peer) + "; allowed are other ranks below " +
                        std::to_string(size_));
    }
    if (lane < 0 || lane >= kLaneCount) {
      throw ConfigError("lane is " + std::to_string(lane) + "; allowed are 0 to " +
                        std::to_string(kLaneCount - 1));
    }
    return static_cast<size_t>(peer) * kLaneCount + lane;
  }

  int rank_, size_;
  std::vector<std::unique_ptr<Outgoing>> outgoing_;
  std::vector<std::unique_ptr<Incoming>> incoming_;
  std::atomic<bool> aborted_{false};
};

}  // namespace

std::shared_ptr<Transport> make_tls_transport(const TlsContext& context, const Meeting& meeting) {
  const int size = static_cast<int>(meeting.addresses.size());
  return std::make_shared<TlsTransport>(connect_all(context, meeting), meeting.rank, size);
}

}  // namespace cryptensor::net
