// SPDX-License-Identifier: MIT
#pragma once

#include "protocol/additive/engine.h"

namespace cryptensor::protocol::additive {

// A value on its way to being opened under a mask. The opening of a whole storage stays with it, so
// that a weight is opened once, and an activation once for all that it takes part in.
struct AdditiveEngine::Masking {
  explicit Masking(Secret value) : x(std::move(value)) {}

  Secret x;
  bool whole = false;   // the mask covers the storage, else a contiguous copy of the view
  bool cached = false;  // opened before
  size_t item = 0;      // else: of the exchange
  Opening opening;

  correlation::MaskView view() const;
  // In the arrangement of x. Undefined where this party has none.
  at::Tensor masked() const { return arranged(opening.masked); }
  at::Tensor mask_share() const { return arranged(opening.mask_share); }

 private:
  at::Tensor arranged(const at::Tensor& t) const;
};

}  // namespace cryptensor::protocol::additive
