// SPDX-License-Identifier: MIT
#include "protocol/replicated/cost.h"

#include "protocol/replicated/replication.h"

namespace cryptensor::protocol::replicated::cost {
namespace {

bool sends(int rank, int owner) {
  return owner == kShared || owner == rank || (owner == kPair && rank != kThird);
}

}  // namespace

Cost product(const std::vector<Operand>& operands, int rank) {
  Cost out;
  for (const auto& [n, owner] : operands) {
    if (n > 0) out.rounds = 1;
    if (sends(rank, owner)) out.bytes_sent += 8 * n;
  }
  return out;
}

Cost handover(size_t n, int rank) { return {1, rank == kThird ? 8 * n : 0, 0}; }

Cost reveal(size_t n, int owner, bool replicated, additive::PartySet receivers, int rank) {
  uint64_t messages = 0;
  for (int p = 0; p < kParties; ++p) {
    if (p == rank || !additive::contains(receivers, p)) continue;
    messages += replicated ? p == after(rank) : sends(rank, owner);
  }
  return {1, 8 * n * messages, 0};
}

}  // namespace cryptensor::protocol::replicated::cost
