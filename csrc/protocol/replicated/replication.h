// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/ops/add.h>

#include "protocol/replicated/engine.h"

namespace cryptensor::protocol::replicated {

// Two of three shares at each party. Those of a whole storage stay with it, so that a weight is
// replicated once, and an activation once for all the products that it takes part in.
struct ReplicatedEngine::Replication {
  explicit Replication(Secret value) : x(std::move(value)) {}

  Secret x;
  bool whole = false;              // covers the storage, else a contiguous copy of the view
  bool cached = false;             // was replicated before
  std::optional<size_t> arriving;  // the item of the exchange that is the next share
  Replica replica;

  // In the arrangement of x. Undefined: zero.
  at::Tensor own() const { return arranged(replica.own); }
  at::Tensor next() const { return arranged(replica.next); }

 private:
  at::Tensor arranged(const at::Tensor& t) const {
    return t.defined() && whole ? x.view_into(t) : t;
  }
};

inline int before(int party) { return (party + kParties - 1) % kParties; }
inline int after(int party) { return (party + 1) % kParties; }

// Sums where an undefined tensor is zero.
inline at::Tensor sum_of(const at::Tensor& a, const at::Tensor& b) {
  return !a.defined() ? b : !b.defined() ? a : at::add(a, b);
}

}  // namespace cryptensor::protocol::replicated
