// SPDX-License-Identifier: MIT
// Deals a store: party<p>.store for each party, in one folder.
//
// Until all lots are dealt the names end in .part. Who is interrupted at any point, and run again
// with the same plan and shape, goes on behind the lots that are whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "correlation/store_file.h"

namespace cryptensor::correlation {

class StoreWriter {
 public:
  // Makes the folder and the files, or finds those of an interrupted run. StoreError where the
  // folder holds a store already, an unfinished one of another plan or shape, or another dealer is
  // at work in it; ConfigError for an impossible shape.
  StoreWriter(const std::filesystem::path& folder, const Plan& plan, StoreShape shape);

  // Several threads may deal different lots at once. False: the lot was whole already. Memory: the
  // largest correlation and what the dealer needs for it.
  bool deal(uint64_t lot);

  // When every lot is dealt: gives the files their names.
  void finish();

  static std::filesystem::path path_of(const std::filesystem::path& folder, int party);

 private:
  static File lock(const std::filesystem::path& folder);
  void begin(const std::filesystem::path& folder, const Plan& plan);
  void resume(const std::filesystem::path& folder, const Plan& plan);

  std::filesystem::path folder_;
  File locked_;
  StoreShape shape_;
  std::vector<StoreFile> files_;  // by party
};

}  // namespace cryptensor::correlation
