// SPDX-License-Identifier: MIT
// How the ranks of a session connect: each rank listens at one port, and every ordered pair of
// ranks has one encrypted connection a lane, which carries frames from the first to the second.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/tls_stream.h"

namespace cryptensor::net {

struct Address {
  std::string host;
  uint16_t port = 0;
};

struct Meeting {
  int rank = 0;
  int listener = -1;               // a listening socket, which is closed in the end
  std::vector<Address> addresses;  // by rank
  std::vector<std::string> names;  // by rank: what the certificates say
  // Digest of all that the ranks have to agree on, and of a number used once.
  std::array<uint8_t, 32> session{};
  std::chrono::milliseconds timeout{10000};
};

// By peer and lane: index peer * kLaneCount + lane; null for the rank itself.
struct Connections {
  std::vector<std::unique_ptr<TlsStream>> outgoing, incoming;
};

// Nothing of a protocol is sent before all peers proved their names. AuthFailed (the peer's
// certificate, or this rank's at the peer), SetupError (no connection in time, another session).
Connections connect_all(const TlsContext& context, const Meeting& meeting);

}  // namespace cryptensor::net
