// SPDX-License-Identifier: MIT
#include "protocol/secret.h"

#include <ATen/ops/as_strided.h>

namespace cryptensor::protocol {

int owner_of_both(int a, int b) {
  if (a == b || b == kPublic) return a;
  if (a == kPublic) return b;
  const auto fits = [](int owner) { return owner == kPair || owner == 0 || owner == 1; };
  return (a == kPair || b == kPair) && fits(a) && fits(b) ? kPair : kShared;
}

Secret::Secret(at::Tensor share, int fraction_bits, int owner) : store_(std::make_shared<Store>()) {
  share_ = share.contiguous();
  store_->base = share_;
  store_->fraction_bits = fraction_bits;
  store_->owner = owner;
}

Secret Secret::rearranged(at::Tensor share) const {
  if (share.storage().is_alias_of(store_->base.storage())) return Secret(std::move(share), store_);
  return Secret(std::move(share), fraction_bits(), owner());
}

at::Tensor Secret::view_into(const at::Tensor& as_storage) const {
  return at::as_strided(
      as_storage, share_.sizes(), share_.strides(),
      as_storage.storage_offset() + share_.storage_offset() - store_->base.storage_offset());
}

correlation::MaskView Secret::view_of(const correlation::MaskName& mask) const {
  return {mask, share_.sizes().vec(), share_.strides().vec(),
          share_.storage_offset() - store_->base.storage_offset()};
}

}  // namespace cryptensor::protocol
