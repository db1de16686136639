// SPDX-License-Identifier: MIT
#include "correlation/stored.h"

#include <fmt/format.h>

#include <utility>

#include "core/errors.h"

namespace cryptensor::correlation {

std::unique_ptr<StoredProvider> StoredProvider::open(net::Channel& channel,
                                                     const std::filesystem::path& path,
                                                     const PlanSettings& settings) {
  auto lots = std::make_unique<Lots>(channel, path, settings);
  Lot first = lots->next();
  return std::unique_ptr<StoredProvider>(
      new StoredProvider(std::move(lots), std::move(first), channel.rank()));
}

StoredProvider::StoredProvider(std::unique_ptr<Lots> lots, Lot lot, int rank)
    : Provider(lot.key, rank, lots->plan().settings().parties),
      lots_(std::move(lots)),
      lot_(std::move(lot)) {}

uint64_t StoredProvider::end_of_steps() const {
  if (!plan().has_steps()) return plan().start_size();
  return begun_ == 0 ? plan().before_size() : plan().lot_size(begun_ - 1);
}

std::string StoredProvider::where(uint64_t serial) const {
  if (!plan().has_steps()) return fmt::format("correlation {} of the program", serial);
  if (!in_step_) return fmt::format("correlation {}, outside of the steps", serial);
  const uint64_t begin = begun_ == 1 ? plan().before_size() : plan().lot_size(begun_ - 2);
  return fmt::format("correlation {} of step {} of the lot", serial - begin, begun_ - 1);
}

void StoredProvider::mark_step(bool begins) {
  if (!plan().has_steps()) {
    throw StoreError("the program has steps, and its plan has none: trace it again");
  }
  const uint64_t end = end_of_steps();
  if (!begins) {
    if (next_serial() < end) {
      throw StoreError(fmt::format("the step ends before {}, which was dealt as {}",
                                   where(next_serial()), describe(plan().at(next_serial()))));
    }
    in_step_ = false;
    return;
  }
  if (in_step_) skip_to(end);
  if (next_serial() < end) {
    throw StoreError(fmt::format("the first step begins before {}, which was dealt as {}",
                                 where(next_serial()), describe(plan().at(next_serial()))));
  }
  if (begun_ > lots_->shape().steps) {
    if (plan().before_size() > 0) {
      throw StoreError(fmt::format(
          "the {} steps of the lot are done; the program takes correlations before its first "
          "step, so one step more needs another session ({})",
          begun_, lots_->what_is_left()));
    }
    lot_ = lots_->next();
    begin_epoch(lot_.key);
    begun_ = 0;
  }
  ++begun_;
  in_step_ = true;
}

void StoredProvider::expect(const Descriptor& descriptor, uint64_t digest) {
  const uint64_t serial = next_serial();
  const bool outside = plan().has_steps() && !in_step_ && begun_ > 0;
  if (outside || serial >= end_of_steps()) {
    throw StoreError(fmt::format(
        "the program takes more than was dealt: {} is to be {}, and its plan ends before ({})",
        where(serial), describe(descriptor), lots_->what_is_left()));
  }
  if (!plan().is_at(serial, descriptor, digest)) {
    throw StoreError(fmt::format(
        "the program departs from its plan: {} is to be {}, and was dealt as {}; trace the "
        "program again, with these shapes",
        where(serial), describe(descriptor), describe(plan().at(serial))));
  }
}

std::shared_ptr<const uint8_t> StoredProvider::corrections(uint64_t serial, uint64_t,
                                                           const Descriptor&, Part, size_t) {
  return {lot_.corrections, lot_.corrections.get() + plan().offset(serial)};
}

}  // namespace cryptensor::correlation
