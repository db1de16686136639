// SPDX-License-Identifier: MIT
#include "correlation/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/errors.h"

namespace cryptensor::correlation {
namespace {

// The masks that a correlation is about.
template <class D, class Visit>
void each_view(D& descriptor, const Visit& visit) {
  if (descriptor.kind == Kind::bilinear || descriptor.kind == Kind::truncation) {
    visit(descriptor.left);
  }
  if (descriptor.kind == Kind::bilinear) visit(descriptor.right);
}

// Masks from `first` on are those of a step: `distance` serials further on in a later one.
Descriptor moved(Descriptor descriptor, uint64_t first, uint64_t distance) {
  each_view(descriptor, [&](MaskView& view) {
    if (view.mask.serial >= first) view.mask.serial += distance;
  });
  return descriptor;
}

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  std::span<const uint8_t> take(size_t n) {
    if (bytes_.size() < n) throw StoreError("the plan is cut short");
    const auto out = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return out;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::span<const uint8_t> bytes_;
};

template <class T>
void put(std::vector<uint8_t>& out, T value) {
  const auto* from = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), from, from + sizeof value);
}

void check_steps(const Recording& recording) {
  const auto& [taken, steps] = recording;
  if (steps.size() < 3) {
    throw StoreError(
        fmt::format("the traced program has {} step{}; it must have none, or at least 3: the "
                    "first may open weights, the second is what repeats, the third shows that it "
                    "does",
                    steps.size(), steps.size() == 1 ? "" : "s"));
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    const uint64_t next = i + 1 < steps.size() ? steps[i + 1].first : taken.size();
    if (steps[i].second != next) {
      throw StoreError(
          fmt::format("the program takes a correlation behind step {}, outside of the steps: {}", i,
                      describe(taken[steps[i].second])));
    }
  }
  const uint64_t start = steps[1].first, size = steps[1].second - start;
  if (size == 0)
    throw StoreError("the repeated step takes no correlations: nothing is to be dealt");
  for (size_t i = 2; i < steps.size(); ++i) {
    const uint64_t theirs = steps[i].second - steps[i].first;
    for (uint64_t k = 0; k < std::min(size, theirs); ++k) {
      const Descriptor &like = taken[start + k], &found = taken[steps[i].first + k];
      if (moved(like, start, steps[i].first - start).digest() != found.digest()) {
        throw StoreError(fmt::format(
            "step {} is not like step 1: its correlation {} is {}, in step 1 {}; steps must be "
            "equal, and use nothing that an earlier one but the first has opened",
            i, k, describe(found), describe(like)));
      }
    }
    if (theirs != size) {
      throw StoreError(fmt::format(
          "step {} is not like step 1: it takes {} correlations instead of {}", i, theirs, size));
    }
  }
}

}  // namespace

Plan Plan::of(PlanSettings settings, const Recording& recording) {
  const auto& [taken, steps] = recording;
  if (taken.empty()) {
    throw StoreError("the traced program takes no correlations: nothing is to be dealt");
  }
  if (taken.size() > kMaxEntries) {
    throw StoreError(fmt::format("the traced program takes {} correlations; allowed are {}",
                                 taken.size(), kMaxEntries));
  }
  if (steps.empty()) return Plan(settings, taken.size(), taken.size(), taken);
  check_steps(recording);
  return Plan(settings, steps[0].first, steps[1].first,
              {taken.begin(), taken.begin() + steps[1].second});
}

Plan::Plan(PlanSettings settings, uint64_t before, uint64_t start, std::vector<Descriptor> entries)
    : settings_(settings), before_(before), start_(start), entries_(std::move(entries)) {
  check_masks();
  uint64_t offset = 0;
  for (const Descriptor& d : entries_) {
    digests_.push_back(d.digest());
    offsets_.push_back(offset);
    offset += (d.correction_bytes() + kAlignment - 1) / kAlignment * kAlignment;
  }
  offsets_.push_back(offset);
  const auto bytes = serialize();
  digest_ = crypto::sha256(bytes.data(), bytes.size());
}

// A mask that was not taken before, or of another size, would make the dealer deal nonsense.
void Plan::check_masks() const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    each_view(entries_[i], [&](const MaskView& view) {
      const MaskName& name = view.mask;
      const bool is_mask = name.serial < i && entries_[name.serial].kind == Kind::mask;
      const Descriptor* mask = is_mask ? &entries_[name.serial] : nullptr;
      if (mask == nullptr || mask->numel != name.numel || mask->holders != name.holders ||
          mask->digest() != name.digest) {
        throw StoreError(fmt::format("correlation {} of the plan is about no mask of it", i));
      }
    });
  }
}

std::vector<uint8_t> Plan::serialize() const {
  std::vector<uint8_t> out;
  put(out, settings_.parties);
  put(out, settings_.precision);
  put(out, settings_.truncation);
  put(out, static_cast<uint8_t>(settings_.checked));
  put(out, before_);
  put(out, start_);
  put(out, static_cast<uint64_t>(entries_.size()));
  for (const Descriptor& d : entries_) {
    const auto bytes = d.serialize();
    put(out, static_cast<uint32_t>(bytes.size()));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

Plan Plan::parse(std::span<const uint8_t> bytes) {
  Reader reader(bytes);
  PlanSettings settings;
  settings.parties = reader.number<uint8_t>();
  settings.precision = reader.number<uint8_t>();
  settings.truncation = reader.number<uint8_t>();
  const auto checked = reader.number<uint8_t>();
  if (checked > 1) throw StoreError("the plan has settings that no session has");
  settings.checked = checked != 0;
  const auto before = reader.number<uint64_t>(), start = reader.number<uint64_t>();
  const auto count = reader.number<uint64_t>();
  std::vector<std::vector<uint8_t>> entries;
  for (uint64_t i = 0; i < count; ++i) {
    const auto body = reader.take(reader.number<uint32_t>());
    entries.emplace_back(body.begin(), body.end());
  }
  if (!reader.empty()) throw StoreError("the plan has bytes left over");
  return of(settings, before, start, entries);
}

Plan Plan::of(PlanSettings settings, uint64_t before, uint64_t start,
              const std::vector<std::vector<uint8_t>>& entries) {
  if (settings.parties < 2 || settings.parties > 16) {
    throw StoreError("the plan has settings that no session has");
  }
  if (entries.empty() || entries.size() > kMaxEntries || start == 0 || start > entries.size() ||
      before > start) {
    throw StoreError("the plan has an impossible number of correlations");
  }
  std::vector<Descriptor> descriptors;
  for (size_t i = 0; i < entries.size(); ++i) {
    try {
      descriptors.push_back(Descriptor::parse(entries[i], settings.parties));
    } catch (const ProtocolError& error) {
      throw StoreError(fmt::format("correlation {} of the plan: {}", i, error.what()));
    }
  }
  return Plan(settings, before, start, std::move(descriptors));
}

Descriptor Plan::at(uint64_t serial) const {
  if (serial < entries_.size()) return entries_[serial];
  const uint64_t step = (serial - start_) / step_size();
  return moved(entries_[serial - step * step_size()], start_, step * step_size());
}

bool Plan::is_at(uint64_t serial, const Descriptor& descriptor, uint64_t digest) const {
  if (serial < entries_.size()) return digests_[serial] == digest;
  if (descriptor.kind == Kind::bilinear || descriptor.kind == Kind::truncation) {
    return at(serial).digest() == digest;
  }
  return digests_[start_ + (serial - start_) % step_size()] == digest;
}

uint64_t Plan::offset(uint64_t serial) const {
  if (serial <= entries_.size()) return offsets_[serial];
  const uint64_t step = (serial - start_) / step_size();
  return offsets_[serial - step * step_size()] + step * (offsets_.back() - offsets_[start_]);
}

}  // namespace cryptensor::correlation
