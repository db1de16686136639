// SPDX-License-Identifier: MIT
// One party's file of a store. Little-endian:
//
//   offset  0  magic        8 bytes  "CTSTORE1"
//           8  party, parties u32
//          16  used         u32      1 once a position file beside it was begun
//          20  reserved     u32
//          24  lots         u64
//          32  steps        u64      of a lot, behind its start
//          40  plan_bytes   u64
//          48  lot_bytes    u64      in this file, seal and padding included; 0 but at the last
//          party 56  id          16 bytes  random; the same in the files of all parties 72  plan 32
//          bytes  digest of the plan
//         104  key         16 bytes  of this party: the keys of its lots come from it
//         120  nonce, tag  28 bytes  GMAC over all before, with `used` as 0, and the plan
//         148  reserved     4 bytes
//         152  the plan, then zeros up to a multiple of 4096
//
// Behind that, at the last party only, the lots: corrections in the order of the plan, nonce and
// tag of a GMAC over them and the lot's number, zeros up to a multiple of 4096. The key is in the
// same file: the seals find accidents, mix-ups and changes by somebody who cannot read it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "correlation/file.h"
#include "correlation/plan.h"
#include "crypto/key.h"
#include "crypto/mac.h"

namespace cryptensor::correlation {

using StoreId = std::array<uint8_t, 16>;

// What is dealt: `lots` times the start of a plan and `steps` steps.
struct StoreShape {
  uint64_t lots = 1;
  uint64_t steps = 0;
  bool operator==(const StoreShape&) const = default;
};
constexpr uint64_t kMaxLots = uint64_t{1} << 32;
constexpr uint64_t kMaxSteps = uint64_t{1} << 32;

class StoreFile {
 public:
  // StoreError for a file that is missing, cut short, altered, unfinished or of another format.
  explicit StoreFile(const std::filesystem::path& path);
  // Makes the file, without lots.
  StoreFile(const std::filesystem::path& path, const Plan& plan, StoreShape shape, int party,
            const StoreId& id, const crypto::Key& key);

  const Plan& plan() const { return plan_; }
  const StoreShape& shape() const { return shape_; }
  int party() const { return party_; }
  int parties() const { return plan_.settings().parties; }
  bool has_lots() const { return party_ == parties() - 1; }
  const StoreId& id() const { return id_; }
  File& file() { return file_; }

  // This party's key in a lot.
  crypto::Key key_of(uint64_t lot) const { return crypto::derive(key_, "lot", lot); }

  bool used() const;
  void set_used();

  // The corrections of a lot as they are dealt: mac() over their bytes in order, then seal().
  std::unique_ptr<crypto::Mac> mac(uint64_t lot) const;
  uint64_t offset_of(uint64_t lot) const { return lots_at_ + lot * lot_bytes_; }
  void seal(uint64_t lot, const crypto::Seal& seal);

  // The corrections of a lot; null where its seal does not fit them or there is none. At least 64
  // bytes behind them may be read.
  std::shared_ptr<const uint8_t> open(uint64_t lot) const;
  // StoreError where the file does not end with its last lot.
  void check_size() const;
  uint64_t file_bytes() const { return offset_of(shape_.lots); }

 private:
  struct Header;
  explicit StoreFile(File file);
  static Header read_header(const File& file);
  static Plan read_plan(const File& file, const Header& header);

  File file_;
  Plan plan_;
  StoreShape shape_;
  int party_;
  StoreId id_;
  crypto::Key key_;
  uint64_t lots_at_, lot_bytes_;
};

}  // namespace cryptensor::correlation
