// SPDX-License-Identifier: MIT
// Party 2 as the dealer of the two others: a thread that answers them beside its program.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
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
  // Throws what ended the dealing too early, if anything.
  void rethrow_failure();

 private:
  std::shared_ptr<net::Transport> transport_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace cryptensor::protocol::replicated
