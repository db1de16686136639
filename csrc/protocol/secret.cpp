// SPDX-License-Identifier: MIT
#include "protocol/secret.h"

namespace cryptensor::protocol {

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

correlation::MaskView Secret::view_of(const correlation::MaskName& mask) const {
  return {mask, share_.sizes().vec(), share_.strides().vec(),
          share_.storage_offset() - store_->base.storage_offset()};
}

}  // namespace cryptensor::protocol
