// SPDX-License-Identifier: MIT
// The dealer's side of a session: answers what the last party asks for.
#pragma once

#include <cstddef>

#include "net/channel.h"

namespace cryptensor::correlation {

// Hands each party its seed and answers requests until the last party says that it needs no more.
// PeerLost as soon as any party is gone, ProtocolError for a malformed request.
//
// `memory`: bytes for corrections that were not sent yet and for making the next ones; 0 for any
// number. A request waits until there is room. RangeError for one that never fits.
void serve_dealer(net::Channel& channel, int parties, size_t memory = 0);

}  // namespace cryptensor::correlation
