// SPDX-License-Identifier: MIT
#include "net/channel.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "net/wait_observer.h"

namespace cryptensor::net {
namespace {

std::atomic<const WaitObserver*> wait_observer{nullptr};

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What an error says about the operation that failed.
struct Subject {
  int peer;
  FrameHeader header;
  bool sending;

  std::string text(double seconds) const {
    char place[96];
    std::snprintf(place, sizeof place, ", lane %d, sequence %llu, after %.2f s", int{header.lane},
                  static_cast<unsigned long long>(header.sequence), seconds);
    return std::string(sending ? "sending " : "receiving ") + name(header.operation) + place;
  }
};

// Tells the observer, if there is one, while it lives.
class Watched {
 public:
  explicit Watched(const Subject& subject)
      : observer_(wait_observer.load(std::memory_order_acquire)) {
    if (observer_ == nullptr) return;
    observer_->begins(subject.sending                          ? "send"
                      : subject.header.lane == kCorrectionLane ? "wait_for_dealer"
                                                               : "wait");
  }
  ~Watched() {
    if (observer_ != nullptr) observer_->ends();
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

 private:
  const WaitObserver* observer_;
};

// Runs what may block in the transport, adds the time to `wait_seconds` and turns the bare cause of
// a failure into a sentence for the user.
template <class Work>
void blocking(const Subject& subject, double& wait_seconds, Work work) {
  const Watched watched(subject);
  const Clock::time_point start = Clock::now();
  const auto account = [&] {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    wait_seconds += seconds;
    return seconds;
  };
  try {
    work();
    account();
  } catch (const PeerTimeout& cause) {
    const std::string peer = std::to_string(subject.peer);
    throw PeerTimeout("peer " + peer + " did not answer: " + subject.text(account()) + " (" +
                      cause.what() + "). Check that party " + peer +
                      " is running and can be reached, or raise the timeout.");
  } catch (const PeerLost& cause) {
    const std::string peer = std::to_string(subject.peer);
    throw PeerLost("lost peer " + peer + ": " + subject.text(account()) + " (" + cause.what() +
                   "). See what party " + peer + " reported, then start all parties again.");
  }
}

constexpr const char* kTakenBefore = "the message of this receive was taken before";

struct Unfinished {
  std::unique_ptr<Pending> pending;
  size_t bytes;
  Subject subject;
};

struct Peer {
  uint64_t next_send = 0;
  uint64_t next_receive = 0;
  std::deque<Unfinished> sends;
  size_t unfinished_bytes = 0;
};

struct Lane {
  std::vector<Peer> peers;
  Counters counters;

  void finish_oldest(Peer& peer, std::chrono::milliseconds timeout) {
    const Unfinished oldest = std::move(peer.sends.front());
    peer.sends.pop_front();
    peer.unfinished_bytes -= oldest.bytes;
    blocking(oldest.subject, counters.wait_seconds, [&] { oldest.pending->wait(timeout); });
  }
};

}  // namespace

void observe_waits(const WaitObserver& observer) {
  wait_observer.store(&observer, std::memory_order_release);
}

struct Channel::State {
  std::shared_ptr<Transport> transport;
  std::atomic<uint64_t> session;
  std::chrono::milliseconds timeout;
  std::array<Lane, kLaneCount> lanes;

  Lane& lane(int index) {
    if (index < 0 || index >= kLaneCount) {
      throw ConfigError("lane is " + std::to_string(index) + ", expected 0 to " +
                        std::to_string(kLaneCount - 1));
    }
    return lanes[index];
  }

  Peer& peer(int index, int lane_index) {
    if (index < 0 || index >= transport->size() || index == transport->rank()) {
      throw ConfigError("peer is " + std::to_string(index) + ", expected 0 to " +
                        std::to_string(transport->size() - 1) + " and not this rank, " +
                        std::to_string(transport->rank()));
    }
    return lane(lane_index).peers[index];
  }

  FrameHeader header(int sender, int lane_index, uint64_t sequence, Operation operation,
                     DType dtype, size_t length) const {
    return {.operation = operation,
            .dtype = dtype,
            .lane = static_cast<uint8_t>(lane_index),
            .sender = static_cast<uint16_t>(sender),
            .session = session.load(std::memory_order_relaxed),
            .sequence = sequence,
            .length = length};
  }
};

struct Receive::State {
  std::shared_ptr<Channel::State> channel;
  Subject subject;
  LengthRule rule;
  std::shared_ptr<Bytes> frame;
  std::unique_ptr<Pending> pending;
};

Receive::Receive(std::unique_ptr<State> state) : state_(std::move(state)) {}
Receive::~Receive() = default;

Message Receive::wait() {
  if (state_ == nullptr) throw Error(kTakenBefore);
  Channel::State& channel = *state_->channel;
  return wait_for(channel.timeout, channel.lanes[state_->subject.header.lane].counters);
}

Message Receive::wait_without_limit() {
  if (state_ == nullptr) throw Error(kTakenBefore);
  Counters uncounted;
  // Added to a clock, so not the largest number.
  return wait_for(std::chrono::hours(24 * 365), uncounted);
}

Message Receive::wait_for(milliseconds timeout, Counters& counters) {
  const std::unique_ptr<State> state = std::move(state_);
  const Subject& subject = state->subject;
  const double waited_before = counters.wait_seconds;
  blocking(subject, counters.wait_seconds, [&] { state->pending->wait(timeout); });
  uint64_t length;
  try {
    length = check(state->frame->span(), subject.header, state->rule);
  } catch (const ProtocolError& cause) {
    throw ProtocolError("peer " + std::to_string(subject.peer) + " is out of step: " +
                        subject.text(counters.wait_seconds - waited_before) + ", " + cause.what() +
                        ". All parties must run the same program on the same shapes.");
  }
  counters.messages_received += 1;
  counters.payload_received += length;
  return Message(std::move(state->frame));
}

Channel::Channel(std::shared_ptr<Transport> transport, uint64_t session,
                 std::chrono::milliseconds timeout)
    : state_(std::make_shared<State>()) {
  if (timeout <= std::chrono::milliseconds(0)) {
    throw ConfigError("timeout is " + std::to_string(timeout.count()) + " ms, expected at least 1");
  }
  state_->session = session;
  state_->timeout = timeout;
  for (Lane& lane : state_->lanes) lane.peers = std::vector<Peer>(transport->size());
  state_->transport = std::move(transport);
}

Channel::~Channel() = default;

int Channel::rank() const { return state_->transport->rank(); }
int Channel::size() const { return state_->transport->size(); }
void Channel::set_session(uint64_t session) { state_->session = session; }
void Channel::abort() { state_->transport->abort(); }
const Counters& Channel::counters(int lane) const { return state_->lane(lane).counters; }

std::unique_ptr<Receive> Channel::receive(int peer, int lane, Operation operation, DType dtype,
                                          size_t payload_bytes) {
  return post(peer, lane, operation, dtype, payload_bytes, LengthRule::exact);
}

std::unique_ptr<Receive> Channel::receive_up_to(int peer, int lane, Operation operation,
                                                DType dtype, size_t max_payload_bytes) {
  return post(peer, lane, operation, dtype, max_payload_bytes, LengthRule::at_most);
}

std::unique_ptr<Receive> Channel::post(int peer, int lane, Operation operation, DType dtype,
                                       size_t payload_bytes, LengthRule rule) {
  Peer& from = state_->peer(peer, lane);
  const Subject subject{
      peer, state_->header(peer, lane, from.next_receive++, operation, dtype, payload_bytes),
      false};
  const size_t frame_bytes = kHeaderBytes + payload_bytes;
  auto frame =
      std::make_shared<Bytes>(frame_bytes, state_->transport->receive_capacity(frame_bytes));
  std::unique_ptr<Pending> pending;
  blocking(subject, state_->lanes[lane].counters.wait_seconds, [&] {
    state_->transport->expect(subject.header);
    pending = state_->transport->post_receive(peer, lane, frame, rule);
  });
  return std::unique_ptr<Receive>(new Receive(std::unique_ptr<Receive::State>(
      new Receive::State{state_, subject, rule, std::move(frame), std::move(pending)})));
}

void Channel::send(int peer, int lane, Operation operation, DType dtype, Message message) {
  Peer& to = state_->peer(peer, lane);
  Lane& own = state_->lanes[lane];
  while (to.sends.size() >= kMaxUnfinishedSends || to.unfinished_bytes > kMaxUnfinishedBytes) {
    own.finish_oldest(to, state_->timeout);
  }
  const size_t bytes = message.size();
  const Subject subject{peer, state_->header(rank(), lane, to.next_send++, operation, dtype, bytes),
                        true};
  std::shared_ptr<const Bytes> frame = std::move(message).seal(subject.header);
  std::unique_ptr<Pending> pending;
  blocking(subject, own.counters.wait_seconds,
           [&] { pending = state_->transport->post_send(peer, lane, std::move(frame)); });
  to.sends.push_back({std::move(pending), bytes, subject});
  to.unfinished_bytes += bytes;
  own.counters.messages_sent += 1;
  own.counters.payload_sent += bytes;
}

void Channel::flush() {
  for (int lane = 0; lane < kLaneCount; ++lane) flush(lane);
}

void Channel::flush(int lane) {
  Lane& own = state_->lane(lane);
  for (Peer& peer : own.peers) {
    while (!peer.sends.empty()) own.finish_oldest(peer, state_->timeout);
  }
}

}  // namespace cryptensor::net
