// SPDX-License-Identifier: MIT
// Moves whole frames between ranks and knows nothing of what is in them.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "net/message.h"

namespace cryptensor::net {

// An operation under way. Destroying it before wait() returned abandons it: the operation still
// takes its turn, and the transport keeps the frame until it is done or the transport is gone.
class Pending {
 public:
  virtual ~Pending() = default;
  // Returns when the operation is done. Throws PeerLost or PeerTimeout with the bare cause; call
  // it once.
  virtual void wait(std::chrono::milliseconds timeout) = 0;
};

// Frames of one (sender, receiver, lane) arrive in the order in which they were sent, each into
// the oldest receive that was posted. Operations of different lanes may be posted from different
// threads.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Room that a receive of a frame of `frame_bytes` has to offer.
  virtual size_t receive_capacity(size_t frame_bytes) const { return frame_bytes; }

  // What the next receive must hold, for a transport that answers itself; others need not know.
  virtual void expect(const FrameHeader&) {}

  // Both may throw PeerLost. After the wait() of a receive frame->size() is what arrived, cut to
  // frame->capacity(); until then nobody else may touch the frame. It comes with the size that is
  // expected: the largest that may arrive for LengthRule::at_most. For LengthRule::exact nothing
  // is promised about the lane once a frame of another size has arrived.
  virtual std::unique_ptr<Pending> post_send(int peer, int lane,
                                             std::shared_ptr<const Bytes> frame) = 0;
  virtual std::unique_ptr<Pending> post_receive(int peer, int lane, std::shared_ptr<Bytes> frame,
                                                LengthRule rule) = 0;

  // Makes every pending and later operation of this rank, and of the peers that wait for it, fail
  // with PeerLost. May be called from any thread, more than once.
  virtual void abort() = 0;
};

}  // namespace cryptensor::net
