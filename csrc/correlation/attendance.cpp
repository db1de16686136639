// SPDX-License-Identifier: MIT
#include "correlation/attendance.h"

#include <string>

#include "core/errors.h"

namespace cryptensor::correlation {

using net::DType;
using net::Operation;

Attendance::Attendance(net::Channel& channel, int count) : channel_(channel) {
  for (int party = 0; party < count; ++party) {
    // Posted here: the calls of a lane must not overlap.
    std::shared_ptr<net::Receive> receive =
        channel.receive(party, net::kRequestLane, Operation::dealer_request, DType::bytes, 0);
    threads_.emplace_back([this, party, receive] { watch(party, *receive); });
  }
}

Attendance::~Attendance() {
  if (!threads_.empty()) channel_.abort();
  for (auto& thread : threads_) thread.join();
}

void Attendance::watch(int party, net::Receive& receive) {
  std::exception_ptr cause;
  try {
    receive.wait_without_limit();
    throw ProtocolError("party " + std::to_string(party) +
                        " asks for correlations; only the last party does");
  } catch (...) {
    cause = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    if (!loss_) loss_ = cause;
  }
  channel_.abort();
}

void Attendance::rethrow_loss() {
  const std::lock_guard lock(mutex_);
  if (loss_) std::rethrow_exception(loss_);
}

}  // namespace cryptensor::correlation
