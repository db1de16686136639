// SPDX-License-Identifier: MIT
// Notices at once when a party leaves that the dealer has nothing to hear from.
#pragma once

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "net/channel.h"

namespace cryptensor::correlation {

class Attendance {
 public:
  // Of ranks 0 to `count` - 1, which send nothing on the request lane. When one is lost, or sends,
  // the channel is aborted, so that whoever waits there wakes up. A thread for each.
  Attendance(net::Channel& channel, int count);
  // Ends the session at this rank: the threads wait for nothing else.
  ~Attendance();
  Attendance(const Attendance&) = delete;
  Attendance& operator=(const Attendance&) = delete;

  // Throws what was the first to go wrong, if anything.
  void rethrow_loss();

 private:
  void watch(int party, net::Receive& receive);

  net::Channel& channel_;
  std::mutex mutex_;
  std::exception_ptr loss_;
  std::vector<std::thread> threads_;
};

}  // namespace cryptensor::correlation
