// SPDX-License-Identifier: MIT
// The dealer inside the last party's process. That party can then read every secret: for
// simulations and tests on one machine only.
#pragma once

#include "core/buffer.h"
#include "correlation/dealer.h"
#include "correlation/provider.h"

namespace cryptensor::correlation {

class FirstPartyProvider : public Provider {
 public:
  // `keys`: all parties' at the last party, elsewhere only the own one is set.
  FirstPartyProvider(const std::vector<crypto::Key>& keys, int rank)
      : Provider(keys[rank], rank, static_cast<int>(keys.size())), dealer_(keys) {}

 protected:
  std::shared_ptr<const uint8_t> corrections(uint64_t serial, uint64_t,
                                             const Descriptor& descriptor, size_t bytes) override {
    auto buffer = std::make_shared<Buffer>(bytes);
    dealer_.deal(serial, descriptor, buffer->data());
    return {buffer, buffer->data()};
  }

 private:
  Dealer dealer_;
};

}  // namespace cryptensor::correlation
