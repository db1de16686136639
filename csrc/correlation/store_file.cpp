// SPDX-License-Identifier: MIT
#include "correlation/store_file.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/errors.h"

namespace cryptensor::correlation {
namespace {

constexpr char kMagic[9] = "CTSTORE1";
constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxPlanBytes = uint64_t{1} << 32;
// Of a seal: what kernels read past the last correction is inside the file.
constexpr uint64_t kSealBytes = 64;

uint64_t whole_pages(uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

crypto::Key seal_key(const crypto::Key& key) { return crypto::derive(key, "seal"); }

}  // namespace

struct StoreFile::Header {
  char magic[8];
  uint32_t party, parties, used, reserved;
  uint64_t lots, steps, plan_bytes, lot_bytes;
  StoreId id;
  crypto::Digest plan;
  uint8_t key[16];
  crypto::Seal seal;
  uint8_t padding[4];

  ~Header() { OPENSSL_cleanse(key, sizeof key); }
  crypto::Key parent() const {
    crypto::Key out;
    std::memcpy(out.bytes.data(), key, sizeof key);
    return out;
  }
  // What the seal is over.
  std::vector<uint8_t> sealed(std::span<const uint8_t> plan_body) const {
    Header bare = *this;
    bare.used = 0;
    const auto* from = reinterpret_cast<const uint8_t*>(&bare);
    std::vector<uint8_t> out(offsetof(Header, seal) + plan_body.size());
    std::copy_n(from, offsetof(Header, seal), out.begin());
    std::copy(plan_body.begin(), plan_body.end(), out.begin() + offsetof(Header, seal));
    return out;
  }
};

StoreFile::Header StoreFile::read_header(const File& file) {
  static_assert(sizeof(Header) == 152 && offsetof(Header, seal) == 120);
  Header header;
  if (!file.read(0, &header, sizeof header) || std::memcmp(header.magic, kMagic, 8) != 0) {
    throw StoreError(fmt::format("{} is no store of correlations", file.path().string()));
  }
  const bool possible = header.plan_bytes <= kMaxPlanBytes && header.lots >= 1 &&
                        header.lots <= kMaxLots && header.steps <= kMaxSteps &&
                        header.plan_bytes <= file.size();
  if (!possible) {
    throw StoreError(fmt::format("{} is truncated or altered", file.path().string()));
  }
  return header;
}

Plan StoreFile::read_plan(const File& file, const Header& header) {
  std::vector<uint8_t> body(header.plan_bytes);
  const bool whole = file.read(sizeof(Header), body.data(), body.size());
  const auto sealed = header.sealed(body);
  if (!whole ||
      !crypto::is_sealed(seal_key(header.parent()), header.seal, sealed.data(), sealed.size())) {
    throw StoreError(fmt::format("{} is truncated or altered", file.path().string()));
  }
  return Plan::parse(body);
}

StoreFile::StoreFile(const std::filesystem::path& path)
    : StoreFile(File(path, File::Mode::write)) {}

StoreFile::StoreFile(File file)
    : file_(std::move(file)), plan_(read_plan(file_, read_header(file_))) {
  const Header header = read_header(file_);
  shape_ = {header.lots, header.steps};
  party_ = static_cast<int>(header.party);
  id_ = header.id;
  key_ = header.parent();
  lots_at_ = whole_pages(sizeof(Header) + header.plan_bytes);
  lot_bytes_ = header.lot_bytes;
}

StoreFile::StoreFile(const std::filesystem::path& path, const Plan& plan, StoreShape shape,
                     int party, const StoreId& id, const crypto::Key& key)
    : file_(path, File::Mode::create),
      plan_(plan),
      shape_(shape),
      party_(party),
      id_(id),
      key_(key) {
  const auto body = plan.serialize();
  Header header{};
  std::memcpy(header.magic, kMagic, 8);
  header.party = party;
  header.parties = parties();
  header.lots = shape.lots;
  header.steps = shape.steps;
  header.plan_bytes = body.size();
  header.lot_bytes = has_lots() ? whole_pages(plan.lot_bytes(shape.steps) + kSealBytes) : 0;
  header.id = id;
  header.plan = plan.digest();
  std::memcpy(header.key, key.bytes.data(), sizeof header.key);
  const auto sealed = header.sealed(body);
  crypto::Mac mac(seal_key(key));
  mac.update(sealed.data(), sealed.size());
  header.seal = mac.finish();
  lots_at_ = whole_pages(sizeof header + body.size());
  lot_bytes_ = header.lot_bytes;
  file_.write(sizeof header, body.data(), body.size());
  file_.write(0, &header, sizeof header);
  file_.resize(lots_at_);
  file_.sync();
}

bool StoreFile::used() const {
  uint32_t used = 0;
  return !file_.read(offsetof(Header, used), &used, sizeof used) || used != 0;
}

void StoreFile::set_used() {
  const uint32_t used = 1;
  file_.write(offsetof(Header, used), &used, sizeof used);
  file_.sync();
}

std::unique_ptr<crypto::Mac> StoreFile::mac(uint64_t lot) const {
  auto out = std::make_unique<crypto::Mac>(seal_key(key_));
  out->update(&lot, sizeof lot);
  return out;
}

void StoreFile::seal(uint64_t lot, const crypto::Seal& seal) {
  // To the end of the lot, so that the file is as long as it must be.
  const uint64_t at = plan_.lot_bytes(shape_.steps);
  std::vector<uint8_t> tail(lot_bytes_ - at);
  std::memcpy(tail.data(), &seal, sizeof seal);
  file_.write(offset_of(lot) + at, tail.data(), tail.size());
}

std::shared_ptr<const uint8_t> StoreFile::open(uint64_t lot) const {
  const uint64_t size = plan_.lot_bytes(shape_.steps);
  crypto::Seal seal;
  if (file_.size() < offset_of(lot + 1) || !file_.read(offset_of(lot) + size, &seal, sizeof seal) ||
      seal == crypto::Seal{}) {
    return nullptr;  // not dealt yet
  }
  auto bytes = file_.map(offset_of(lot), lot_bytes_);
  crypto::Mac mac(seal_key(key_), seal.nonce);
  mac.update(&lot, sizeof lot);
  mac.update(bytes.get(), size);
  return CRYPTO_memcmp(mac.finish().tag.data(), seal.tag.data(), seal.tag.size()) == 0 ? bytes
                                                                                       : nullptr;
}

void StoreFile::check_size() const {
  const uint64_t size = file_.size();
  if (size == file_bytes()) return;
  throw StoreError(fmt::format("{} is truncated: it has {} bytes of {}", file_.path().string(),
                               size, file_bytes()));
}

}  // namespace cryptensor::correlation
