// SPDX-License-Identifier: MIT
#include "protocol/replicated/third_party.h"

#include <mutex>

#include "core/errors.h"
#include "net/decorators.h"
#include "protocol/additive/engine.h"

namespace cryptensor::protocol::replicated {

// Breaking off waits until the program has ended.
class ThirdParty::Lane : public net::TransportDecorator {
 public:
  using TransportDecorator::TransportDecorator;

  void abort() override {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    if (released_) inner_->abort();
  }
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    if (aborted_) inner_->abort();
  }

 private:
  std::mutex mutex_;
  bool aborted_ = false, released_ = false;
};

ThirdParty::ThirdParty(std::shared_ptr<net::Transport> transport, std::chrono::milliseconds timeout)
    : lane_(std::make_shared<Lane>(std::move(transport))) {
  thread_ = std::thread([lane = lane_, timeout] {
    try {
      additive::serve_dealer(lane, /*parties=*/2, timeout);
    } catch (const Error&) {
      // A party has left, or asks for nonsense and waits in vain: the program hears of either.
    }
  });
}

ThirdParty::~ThirdParty() {
  if (!thread_.joinable()) return;
  lane_->abort();
  finish();
}

void ThirdParty::finish() {
  lane_->release();
  if (thread_.joinable()) thread_.join();
}

}  // namespace cryptensor::protocol::replicated
