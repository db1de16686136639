// SPDX-License-Identifier: MIT
// Correlations that were dealt before the session began, for a program that is known.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "correlation/lots.h"
#include "correlation/provider.h"

namespace cryptensor::correlation {

class StoredProvider : public Provider {
 public:
  // Agrees with the other parties on a lot, which is used up from then on. StoreError on all of
  // them when there is none or a file does not fit.
  static std::unique_ptr<StoredProvider> open(net::Channel& channel,
                                              const std::filesystem::path& path,
                                              const PlanSettings& settings);

  // A step begins where the plan has one. Behind the last step of a lot the parties go on with the
  // next lot: masks of the old one are no longer current, so that the next step opens weights
  // anew, as the first step of the plan did. StoreError where the program takes something before
  // its first step, which the new lot could not repeat. A step that was not ended is left out.
  void mark_step(bool begins) override;

 protected:
  // StoreError for anything but what the plan has next, the same at every party.
  void expect(const Descriptor& descriptor, uint64_t digest) override;
  std::shared_ptr<const uint8_t> corrections(uint64_t serial, uint64_t digest,
                                             const Descriptor& descriptor, Part part,
                                             size_t bytes) override;

 private:
  StoredProvider(std::unique_ptr<Lots> lots, Lot lot, int rank);
  const Plan& plan() const { return lots_->plan(); }
  uint64_t end_of_steps() const;  // the serial where those that have begun end
  std::string where(uint64_t serial) const;

  std::unique_ptr<Lots> lots_;
  Lot lot_;
  uint64_t begun_ = 0;  // steps of the lot
  bool in_step_ = false;
};

}  // namespace cryptensor::correlation
