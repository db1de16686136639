// SPDX-License-Identifier: MIT
#include "protocol/additive/masking.h"

#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>

namespace cryptensor::protocol::additive {
namespace {

std::vector<int64_t> contiguous_strides(at::IntArrayRef sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<int64_t>(sizes[i], 1);
  }
  return strides;
}

}  // namespace

correlation::MaskView AdditiveEngine::Masking::view() const {
  if (whole) return x.view_of(opening.mask);
  return {opening.mask, x.sizes().vec(), contiguous_strides(x.sizes()), 0};
}

at::Tensor AdditiveEngine::Masking::arranged(const at::Tensor& t) const {
  return t.defined() && whole ? x.view_into(t) : t;
}

at::Tensor AdditiveEngine::mask_share(const correlation::MaskName& mask,
                                      at::IntArrayRef sizes) const {
  if (!contains(mask.holders, rank())) return {};
  at::Tensor out = at::empty(sizes, at::kLong);
  provider_->mask_prg(mask).fill(/*stream=*/0, 0, out.data_ptr(), 8 * mask.numel);
  return out;
}

AdditiveEngine::Masking AdditiveEngine::prepare(Exchange& exchange, const Secret& x,
                                                PartySet holders, PartySet receivers) {
  Masking masking(x);
  const Store& store = *x.store();
  masking.whole = store.reused || x.numel() >= store.base.numel();
  // An opening that some parties did not receive is of no use to an operation that needs them.
  if (masking.whole && store.opening && store.opening->mask.holders == holders &&
      store.opening->receivers == receivers && provider_->is_current(store.opening->mask)) {
    masking.cached = true;
    masking.opening = *store.opening;
    return masking;
  }
  const at::Tensor value = masking.whole ? store.base : x.share().contiguous();
  masking.opening.mask = provider_->take_mask(value.numel(), holders, store.reused);
  masking.opening.receivers = receivers;
  masking.opening.mask_share = mask_share(masking.opening.mask, value.sizes());
  at::Tensor part;
  if (contains(holders, rank())) part = at::add(value, masking.opening.mask_share);
  masking.item = exchange.add(part, value.sizes(), holders, receivers);
  return masking;
}

void AdditiveEngine::complete(const Exchange& exchange, Masking& masking) const {
  if (masking.cached) return;
  masking.opening.masked = exchange.result(masking.item);
  if (masking.whole) masking.x.store()->opening = masking.opening;
}

}  // namespace cryptensor::protocol::additive
