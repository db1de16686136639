// SPDX-License-Identifier: MIT
// Party 2 as the dealer of the two others: a thread that answers them beside its program. Only the
// program says when the session is lost: what has arrived for it must not be cut off because the
// dealer heard first that another party has left.
#pragma once

#include <chrono>
#include <memory>
#include <thread>

#include "net/transport.h"

namespace cryptensor::protocol::replicated {

class ThirdParty {
 public:
  ThirdParty(std::shared_ptr<net::Transport> transport, std::chrono::milliseconds timeout);
  // Breaks the session off where it has not ended.
  ~ThirdParty();
  ThirdParty(const ThirdParty&) = delete;
  ThirdParty& operator=(const ThirdParty&) = delete;

  // Returns when the others need no more.
  void finish();

 private:
  class Lane;  // the transport, as the dealer has it
  std::shared_ptr<Lane> lane_;
  std::thread thread_;
};

}  // namespace cryptensor::protocol::replicated
