// SPDX-License-Identifier: MIT
// Typed messages between parties on top of a transport: frames, sequence numbers, checks, counters.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/frame.h"
#include "net/message.h"
#include "net/transport.h"

namespace cryptensor::net {

// Lanes separate conversations with the same peer that are not ordered among each other.
inline constexpr int kPartyLane = 0;
inline constexpr int kRequestLane = 1;     // party to dealer
inline constexpr int kCorrectionLane = 2;  // dealer to party
inline constexpr int kRingLane = 3;        // among three parties, two of which use the others
inline constexpr int kLaneCount = 4;

struct Counters {
  uint64_t messages_sent = 0;
  uint64_t messages_received = 0;
  uint64_t payload_sent = 0;      // bytes without headers
  uint64_t payload_received = 0;  // bytes without headers
  double wait_seconds = 0;        // spent blocked, in receives and in sends that were not done yet
};

// A receive under way. One that is destroyed without wait() swallows its message, so that those
// behind it stay in step. It may outlive the channel.
class Receive {
 public:
  ~Receive();
  // The message, once. Throws ProtocolError when something else arrived, PeerLost, PeerTimeout.
  Message wait();
  // For a peer that may think for as long as it likes: ends only with a message or a lost peer.
  // Not in the counters, so several threads may wait so for different peers of a lane.
  Message wait_without_limit();

 private:
  friend class Channel;
  struct State;
  explicit Receive(std::unique_ptr<State> state);
  Message wait_for(std::chrono::milliseconds timeout, Counters& counters);
  std::unique_ptr<State> state_;
};

// The calls for one (peer, lane, direction), in their order, give the sequence numbers: sender and
// receiver must make them in the same order. Post receives before the send that the peer waits
// for, several rounds at once where they are known. Lanes are independent and may be used by
// different threads; the calls of one lane must not overlap. After an error the lane with that
// peer is out of step for good: abort() and set up again.
class Channel {
 public:
  Channel(std::shared_ptr<Transport> transport, uint64_t session,
          std::chrono::milliseconds timeout);
  ~Channel();  // sends nothing more; flush() first
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int rank() const;
  int size() const;
  // For what is sent and for receives posted from now on. Sequence numbers go on.
  void set_session(uint64_t session);

  std::unique_ptr<Receive> receive(int peer, int lane, Operation operation, DType dtype,
                                   size_t payload_bytes);
  // Any length up to the limit; the message has the size that arrived.
  std::unique_ptr<Receive> receive_up_to(int peer, int lane, Operation operation, DType dtype,
                                         size_t max_payload_bytes);

  // Returns before the message is on its way. Waits for older sends to the peer on the lane only
  // while more than kMaxUnfinishedSends of them or kMaxUnfinishedBytes are unfinished.
  void send(int peer, int lane, Operation operation, DType dtype, Message message);
  void flush();          // waits for all sends; no other call may run
  void flush(int lane);  // those of one lane

  const Counters& counters(int lane) const;  // only ever grow
  void abort();                              // from any thread; see Transport::abort

  static constexpr size_t kMaxUnfinishedSends = 16;
  static constexpr size_t kMaxUnfinishedBytes = size_t{16} << 20;

 private:
  friend class Receive;  // shares the state, so that it may outlive the channel
  struct State;
  std::unique_ptr<Receive> post(int peer, int lane, Operation operation, DType dtype,
                                size_t payload_bytes, LengthRule rule);

  std::shared_ptr<State> state_;
};

}  // namespace cryptensor::net
