// SPDX-License-Identifier: MIT
// A value of the ring that some parties hold in parts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "correlation/descriptor.h"

namespace cryptensor::protocol {

// Who knows a value. A rank: that party holds it in the clear and the other shares are zero.
constexpr int kShared = -1;  // the shares of all parties add up to it
constexpr int kPublic = -2;  // every party holds it in the clear
constexpr int kPair = -3;    // the shares of parties 0 and 1 add up to it; that of a third is zero

// Who knows what is made of two values. Shared is never wrong, the others save work.
int owner_of_both(int a, int b);

// A value opened under a mask, for as long as the value stays what it is: two openings of different
// values under one mask would show their difference.
struct Opening {
  correlation::MaskName mask;
  uint32_t receivers = 0;  // bit i: party i has received it
  at::Tensor masked;       // value + mask, at those who received it; as the storage, contiguous
  at::Tensor mask_share;   // this party's part of the mask; undefined where it holds none
};

// Two of three shares that add up to a value, for as long as it stays what it is: party i has share
// i and the next one. Undefined: zero.
struct Replica {
  at::Tensor own, next;  // as the storage, contiguous
};

// What all views of one value share.
struct Store {
  at::Tensor base;  // int64, contiguous
  int fraction_bits = 0;
  int owner = kShared;
  bool reused = false;  // a weight: its mask outlives a pass of the program
  uint64_t version = 0;
  std::optional<Opening> opening;
  std::optional<Replica> replica;
};

class Secret {
 public:
  Secret(at::Tensor share, int fraction_bits, int owner);

  const at::Tensor& share() const { return share_; }
  int fraction_bits() const { return store_->fraction_bits; }
  int owner() const { return store_->owner; }
  bool is_public() const { return owner() == kPublic; }
  bool is_owned() const { return owner() >= 0; }
  bool is_shared() const { return owner() == kShared || owner() == kPair; }
  uint64_t version() const { return store_->version; }
  const std::shared_ptr<Store>& store() const { return store_; }
  int64_t numel() const { return share_.numel(); }
  at::IntArrayRef sizes() const { return share_.sizes(); }

  // The same elements in another arrangement: a view keeps its store, a copy gets its own.
  Secret rearranged(at::Tensor share) const;
  // The elements of the view, of something that is as the storage.
  at::Tensor view_into(const at::Tensor& as_storage) const;
  // The view as strides over a mask of the whole storage.
  correlation::MaskView view_of(const correlation::MaskName& mask) const;

 private:
  Secret(at::Tensor share, std::shared_ptr<Store> store)
      : share_(std::move(share)), store_(std::move(store)) {}

  at::Tensor share_;
  std::shared_ptr<Store> store_;
};

}  // namespace cryptensor::protocol
