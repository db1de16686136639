// SPDX-License-Identifier: MIT
// Notes what a program takes, for a plan of it.
#pragma once

#include "correlation/first_party.h"
#include "correlation/plan.h"

namespace cryptensor::correlation {

class RecordingProvider : public FirstPartyProvider {
 public:
  using FirstPartyProvider::FirstPartyProvider;

  void mark_step(bool begins) override {
    if (begins) {
      recording_.steps.emplace_back(next_serial(), next_serial());
    } else if (!recording_.steps.empty()) {
      recording_.steps.back().second = next_serial();
    }
  }
  const Recording& recording() const { return recording_; }

 protected:
  void taken(uint64_t, const Descriptor& descriptor) override {
    recording_.taken.push_back(descriptor);
  }

 private:
  Recording recording_;
};

}  // namespace cryptensor::correlation
