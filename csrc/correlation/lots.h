// SPDX-License-Identifier: MIT
// The parties of a session and their files of one store: do they fit, and which lot is next.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "correlation/store_claims.h"
#include "correlation/store_file.h"
#include "net/channel.h"

namespace cryptensor::correlation {

// A lot that all parties of the session have claimed, on disk, for themselves.
struct Lot {
  uint64_t number = 0;
  crypto::Key key;
  std::shared_ptr<const uint8_t> corrections;  // at the last party; else null
};

class Lots {
 public:
  // Opens this party's file and compares it with the others': one round. StoreError on every party
  // where one of them cannot be used, or where they are of different stores.
  Lots(net::Channel& channel, const std::filesystem::path& path, const PlanSettings& settings);

  // Two rounds, more only where a party has used what another one has not. StoreError on every
  // party when the store is used up, or when one of them finds the lot altered.
  Lot next();

  const Plan& plan() const { return store_->plan(); }
  const StoreShape& shape() const { return store_->shape(); }
  // "party0.store: 3 of 20 lots are left".
  std::string what_is_left() const;

 private:
  struct Introduction;
  struct Word;
  Word claim(const Word& proposal, Lot& lot);
  void introduce(const PlanSettings& settings, const std::filesystem::path& path);
  template <class T>
  void tell(int party, const T& what);
  template <class T>
  T hear(net::Receive& receive) const;
  template <class T>
  std::unique_ptr<net::Receive> expect(int party);
  int parties() const { return parties_; }
  [[noreturn]] void refuse(const std::string& what);

  net::Channel& channel_;
  int parties_;
  std::unique_ptr<StoreFile> store_;
  std::optional<StoreClaims> claims_;
  std::string trouble_;  // what this party found
};

}  // namespace cryptensor::correlation
