// SPDX-License-Identifier: MIT
// The dealer inside the parties' processes: each deals what it corrects itself, so that the work is
// spread. Every party could then read every secret: for simulations and tests on one machine only.
#pragma once

#include "core/buffer.h"
#include "correlation/dealer.h"
#include "correlation/provider.h"

namespace cryptensor::correlation {

class FirstPartyProvider : public Provider {
 public:
  // `keys`: those of all parties.
  FirstPartyProvider(const std::vector<crypto::Key>& keys, int rank)
      : Provider(keys[rank], rank, static_cast<int>(keys.size())), dealer_(keys) {}

 protected:
  std::optional<Part> corrected_part(const Descriptor& descriptor) const override {
    if (!descriptor.in_blocks()) return Provider::corrected_part(descriptor);
    return Part{static_cast<size_t>(rank()), static_cast<size_t>(parties())};
  }
  std::shared_ptr<const uint8_t> corrections(uint64_t serial, uint64_t,
                                             const Descriptor& descriptor, Part part,
                                             size_t bytes) override {
    auto buffer = std::make_shared<Buffer>(bytes);
    dealer_.deal_part(serial, descriptor, rank(), part, buffer->data());
    return {buffer, buffer->data()};
  }

 private:
  Dealer dealer_;
};

}  // namespace cryptensor::correlation
