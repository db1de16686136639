// SPDX-License-Identifier: MIT
#include "protocol/replicated/third_party.h"

#include "protocol/additive/engine.h"

namespace cryptensor::protocol::replicated {

ThirdParty::ThirdParty(std::shared_ptr<net::Transport> transport, std::chrono::milliseconds timeout)
    : transport_(std::move(transport)) {
  thread_ = std::thread([this, timeout] {
    try {
      additive::serve_dealer(transport_, /*parties=*/2, timeout);
    } catch (...) {
      {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
      }
      transport_->abort();  // the program of this party may wait for something else
    }
  });
}

ThirdParty::~ThirdParty() {
  if (!thread_.joinable()) return;
  transport_->abort();
  thread_.join();
}

void ThirdParty::finish() {
  if (thread_.joinable()) thread_.join();
}

void ThirdParty::rethrow_failure() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace cryptensor::protocol::replicated
