// SPDX-License-Identifier: MIT
#include "correlation/store_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/buffer.h"
#include "core/errors.h"
#include "correlation/dealer.h"

namespace cryptensor::correlation {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 62;
constexpr uint64_t kMaxPageBytes = uint64_t{1} << 20;  // more than a lot is rounded up by
constexpr size_t kStagingBytes = size_t{1} << 20;      // small corrections are written together

fs::path part_of(const fs::path& folder, int party) {
  return StoreWriter::path_of(folder, party).string() + ".part";
}

size_t padded(size_t bytes) {
  return (bytes + Plan::kAlignment - 1) / Plan::kAlignment * Plan::kAlignment;
}

// Corrections on their way to the file: in order, sealed while they are in the cache.
class Sink {
 public:
  Sink(StoreFile& store, uint64_t lot)
      : store_(store), lot_(lot), mac_(store.mac(lot)), at_(store.offset_of(lot)) {}

  // Room for the next correction, with zeros behind it.
  uint8_t* next(size_t bytes) {
    const size_t size = padded(bytes);
    if (used_ + size > staging_.size()) {
      write();
      if (size > staging_.size()) staging_ = Buffer(size);
    }
    uint8_t* out = staging_.data() + used_;
    std::memset(out + bytes, 0, size - bytes);
    used_ += size;
    return out;
  }
  void finish() {
    write();
    store_.seal(lot_, mac_->finish());
  }

 private:
  void write() {
    mac_->update(staging_.data(), used_);
    store_.file().write(at_, staging_.data(), used_);
    at_ += used_;
    used_ = 0;
  }

  StoreFile& store_;
  uint64_t lot_;
  std::unique_ptr<crypto::Mac> mac_;
  uint64_t at_;
  Buffer staging_{kStagingBytes};
  size_t used_ = 0;
};

void check(const char* name, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most) return;
  throw ConfigError(fmt::format("{} is {}; it must be {} to {}", name, value, least, most));
}

}  // namespace

fs::path StoreWriter::path_of(const fs::path& folder, int party) {
  return folder / fmt::format("party{}.store", party);
}

File StoreWriter::lock(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  File out(folder, File::Mode::read);
  if (!out.try_lock()) {
    throw StoreError(fmt::format("another dealer is at work in {}", folder.string()));
  }
  return out;
}

StoreWriter::StoreWriter(const fs::path& folder, const Plan& plan, StoreShape shape)
    : folder_(folder), locked_(lock(folder)), shape_(shape) {
  check("lots", shape.lots, 1, kMaxLots);
  check("steps", shape.steps, 0, plan.has_steps() ? kMaxSteps : 0);
  const uint64_t step_bytes = plan.has_steps() ? plan.lot_bytes(1) - plan.lot_bytes(0) : 0;
  const uint64_t room = kMaxFileBytes / shape.lots - kMaxPageBytes;
  if (plan.lot_bytes(0) > room ||
      shape.steps > (room - plan.lot_bytes(0)) / std::max<uint64_t>(step_bytes, 1)) {
    throw ConfigError(
        fmt::format("{} lots of {} steps do not fit a file", shape.lots, shape.steps));
  }
  const int last = plan.settings().parties - 1;
  // The last party's file is begun after the others and gets its name after them.
  if (fs::exists(part_of(folder, last))) {
    resume(folder, plan);
    return;
  }
  for (int p = 0; p <= 16; ++p) {
    if (!fs::exists(path_of(folder, p))) continue;
    throw StoreError(fmt::format(
        "{} exists already: a store is dealt once, and its correlations are used once; choose "
        "another folder",
        path_of(folder, p).string()));
  }
  begin(folder, plan);
}

void StoreWriter::begin(const fs::path& folder, const Plan& plan) {
  StoreId id;
  crypto::random_bytes(id.data(), id.size());
  for (int p = 0; p < plan.settings().parties; ++p) {
    const fs::path path = part_of(folder, p), draft = path.string() + ".new";
    files_.emplace_back(draft, plan, shape_, p, id, crypto::random_key());
    rename_for_good(draft, path);
  }
}

void StoreWriter::resume(const fs::path& folder, const Plan& plan) {
  for (int p = 0; p < plan.settings().parties; ++p) {
    const bool named = !fs::exists(part_of(folder, p));
    const fs::path path = named ? path_of(folder, p) : part_of(folder, p);
    files_.emplace_back(path);
    const StoreFile& found = files_.back();
    if (found.party() != p || found.plan().digest() != plan.digest() || found.shape() != shape_ ||
        found.id() != files_[0].id()) {
      throw StoreError(fmt::format(
          "{} is an unfinished store of another plan, or of {} lots of {} steps "
          "instead of {} of {}; finish that one, or remove it",
          path.string(), found.shape().lots, found.shape().steps, shape_.lots, shape_.steps));
    }
  }
}

bool StoreWriter::deal(uint64_t lot) {
  check("lot", lot, 0, shape_.lots - 1);
  StoreFile& last = files_.back();
  if (last.open(lot) != nullptr) return false;
  std::vector<crypto::Key> keys;
  for (const StoreFile& file : files_) keys.push_back(file.key_of(lot));
  const Dealer dealer(keys);
  const Plan& plan = last.plan();
  Sink sink(last, lot);
  const uint64_t size = plan.lot_size(shape_.steps);
  for (uint64_t serial = 0; serial < size; ++serial) {
    const Descriptor descriptor = plan.at(serial);
    const size_t bytes = descriptor.correction_bytes();
    if (bytes > 0) dealer.deal(serial, descriptor, sink.next(bytes));
  }
  sink.finish();
  return true;
}

void StoreWriter::finish() {
  files_.back().check_size();
  files_.back().file().sync();
  for (const StoreFile& file : files_) {
    const int p = file.party();
    if (fs::exists(part_of(folder_, p))) rename_for_good(part_of(folder_, p), path_of(folder_, p));
  }
}

}  // namespace cryptensor::correlation
