// SPDX-License-Identifier: MIT
// Which lots of a party's file are used up: a file beside it, <store>.used, with one byte for each
// lot behind 32 bytes that name the store.
//
// A claim is on disk before it is returned and is never taken back, so that whatever happens to the
// claimant, nobody gets the lot again. A byte is written whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "correlation/file.h"
#include "correlation/store_file.h"

namespace cryptensor::correlation {

// Any number of processes and threads may claim from the same store, each by an object of its own.
class StoreClaims {
 public:
  // `store` outlives it. StoreError where the position file belongs to another store, is cut short,
  // or is missing although the store was used: without it nobody can tell what is left.
  explicit StoreClaims(StoreFile& store);

  // The first lot from `from` on that is not used; claim_next() uses it. None: all are used.
  std::optional<uint64_t> next(uint64_t from) const;
  std::optional<uint64_t> claim_next(uint64_t from);
  // False: it is used already.
  bool claim(uint64_t lot);

  uint64_t left() const;

  static std::filesystem::path path_of(const std::filesystem::path& store);

 private:
  static File open(StoreFile& store);
  std::optional<uint64_t> find(uint64_t from) const;
  void take(uint64_t lot);

  StoreFile& store_;
  File file_;
};

}  // namespace cryptensor::correlation
