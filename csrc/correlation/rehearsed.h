// SPDX-License-Identifier: MIT
// The dealer of a rehearsal: a party that plays alone deals for itself, and the work is timed apart
// from the party's own. The corrections are as long as those of a real dealer.
#pragma once

#include <time.h>

#include "core/buffer.h"
#include "correlation/dealer.h"
#include "correlation/provider.h"

namespace cryptensor::correlation {

class RehearsedProvider : public Provider {
 public:
  // `keys`: those of all parties.
  RehearsedProvider(const std::vector<crypto::Key>& keys, int rank)
      : Provider(keys[rank], rank, static_cast<int>(keys.size())), dealer_(keys) {}

  double dealing_seconds() const { return seconds_; }  // that this thread computed
  uint64_t requests() const { return requests_; }

 protected:
  std::shared_ptr<const uint8_t> corrections(uint64_t serial, uint64_t,
                                             const Descriptor& descriptor, Part,
                                             size_t bytes) override {
    const double start = now();
    auto buffer = std::make_shared<Buffer>(bytes);
    dealer_.deal(serial, descriptor, buffer->data());
    seconds_ += now() - start;
    ++requests_;
    return {buffer, buffer->data()};
  }

 private:
  static double now() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  Dealer dealer_;
  double seconds_ = 0;
  uint64_t requests_ = 0;
};

}  // namespace cryptensor::correlation
