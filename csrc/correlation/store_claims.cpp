// SPDX-License-Identifier: MIT
#include "correlation/store_claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/errors.h"

namespace cryptensor::correlation {
namespace {

constexpr uint64_t kHeaderBytes = 32;
constexpr uint64_t kPart = uint64_t{1} << 16;

std::vector<uint8_t> header_of(const StoreFile& store) {
  std::vector<uint8_t> out(kHeaderBytes);
  std::memcpy(out.data(), "CTUSED_1", 8);
  std::memcpy(out.data() + 8, store.id().data(), 16);
  const uint64_t lots = store.shape().lots;
  std::memcpy(out.data() + 24, &lots, 8);
  return out;
}

// The store's lock, which all that read or write the position file hold.
class Locked {
 public:
  explicit Locked(StoreFile& store) : file_(store.file()) { file_.lock(); }
  ~Locked() { file_.unlock(); }

 private:
  File& file_;
};

}  // namespace

std::filesystem::path StoreClaims::path_of(const std::filesystem::path& store) {
  return store.string() + ".used";
}

StoreClaims::StoreClaims(StoreFile& store) : store_(store), file_(open(store)) {}

File StoreClaims::open(StoreFile& store) {
  const auto path = path_of(store.file().path());
  const auto header = header_of(store);
  const uint64_t bytes = kHeaderBytes + store.shape().lots;
  const Locked locked(store);
  auto found = File::existing(path);
  if (!found) {
    if (store.used()) {
      throw StoreError(
          fmt::format("{} is missing, and with it the knowledge which lots are used: the store "
                      "cannot be used any more; deal another one",
                      path.string()));
    }
    const std::filesystem::path draft = path.string() + ".new";
    {
      File made(draft, File::Mode::create);
      made.resize(bytes);
      made.write(0, header.data(), header.size());
      made.sync();
    }
    rename_for_good(draft, path);
    found.emplace(path, File::Mode::write);
  }
  std::vector<uint8_t> theirs(kHeaderBytes);
  if (!found->read(0, theirs.data(), theirs.size()) || theirs != header || found->size() != bytes) {
    throw StoreError(fmt::format("{} is truncated, or belongs to another store", path.string()));
  }
  if (!store.used()) store.set_used();
  return *std::move(found);
}

void StoreClaims::take(uint64_t lot) {
  const uint8_t mark = 1;
  file_.write(kHeaderBytes + lot, &mark, 1);
  file_.sync();
}

std::optional<uint64_t> StoreClaims::next(uint64_t from) const {
  const Locked locked(store_);
  return find(from);
}

std::optional<uint64_t> StoreClaims::claim_next(uint64_t from) {
  const Locked locked(store_);
  const auto lot = find(from);
  if (lot) take(*lot);
  return lot;
}

std::optional<uint64_t> StoreClaims::find(uint64_t from) const {
  std::vector<uint8_t> part;
  for (uint64_t lot = from; lot < store_.shape().lots; lot += part.size()) {
    part.resize(std::min(kPart, store_.shape().lots - lot));
    if (!file_.read(kHeaderBytes + lot, part.data(), part.size())) {
      throw StoreError(fmt::format("{} was truncated", file_.path().string()));
    }
    const auto free = std::find(part.begin(), part.end(), 0);
    if (free != part.end()) return lot + (free - part.begin());
  }
  return std::nullopt;
}

bool StoreClaims::claim(uint64_t lot) {
  if (lot >= store_.shape().lots) return false;
  const Locked locked(store_);
  uint8_t mark = 1;
  if (!file_.read(kHeaderBytes + lot, &mark, 1) || mark != 0) return false;
  take(lot);
  return true;
}

uint64_t StoreClaims::left() const {
  std::vector<uint8_t> marks(store_.shape().lots);
  const Locked locked(store_);
  if (!file_.read(kHeaderBytes, marks.data(), marks.size())) return 0;
  return std::count(marks.begin(), marks.end(), 0);
}

}  // namespace cryptensor::correlation
