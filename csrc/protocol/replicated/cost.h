// SPDX-License-Identifier: MIT
// What the replicated engine declares that it costs one party, where that is not what the additive
// protocols of two parties declare: see Payer for those.
#pragma once

#include <cstddef>
#include <vector>

#include "protocol/additive/exchange.h"
#include "protocol/cost.h"

namespace cryptensor::protocol::replicated::cost {

// An operand that was not replicated before: so many elements, and who knows it.
struct Operand {
  size_t n;
  int owner = kPair;
};

// 1 round, in which a party sends 8 bytes for each element of which it knows a part that others do
// not have: the owner alone, the pair, or all. No round without such operands.
Cost product(const std::vector<Operand>& operands, int rank);
// A product that the pair goes on with: 1 round, 8 bytes an element from party 2 to party 0.
Cost handover(size_t n, int rank);
// 1 round. To each of the `receivers` but itself a party sends 8 bytes an element; of what was
// replicated it sends them to the next party alone.
Cost reveal(size_t n, int owner, bool replicated, additive::PartySet receivers, int rank);

}  // namespace cryptensor::protocol::replicated::cost
