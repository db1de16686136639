// SPDX-License-Identifier: MIT
// Input: a byte of choices, then either a whole frame or what is behind a right header.
#include <cstring>
#include <utility>

#include "core/errors.h"
#include "fuzz/targets.h"
#include "net/memory_transport.h"
#include "protocol/additive/engine.h"

namespace cryptensor::fuzz {

void handshake(Input input) {
  if (input.empty()) return;
  const bool whole_frame = input[0] & 1;
  const Input bytes = input.subspan(1);
  net::MemoryHub hub(2);
  const auto peer = hub.transport(1);
  if (whole_frame) {
    auto frame = std::make_shared<net::Bytes>(bytes.size());
    if (!bytes.empty()) std::memcpy(frame->data(), bytes.data(), bytes.size());
    peer->post_send(0, net::kPartyLane, std::move(frame));
  } else {
    net::Message message(bytes.size());
    if (!bytes.empty()) std::memcpy(message.data(), bytes.data(), bytes.size());
    net::Channel(peer, 0, std::chrono::seconds(5))
        .send(0, net::kPartyLane, net::Operation::handshake, net::DType::bytes, std::move(message));
  }
  protocol::additive::AdditiveConfig config;
  config.checked = input[0] & 2;
  try {
    const protocol::additive::AdditiveEngine engine(hub.transport(0), config);
  } catch (const Error&) {
    return;
  }
  // It was accepted, so it says the same of the session; the frame's header was the only one.
  const Input hello = whole_frame ? bytes.subspan(net::kHeaderBytes) : bytes;
  uint32_t parties = 0;
  std::memcpy(&parties, hello.data(), sizeof parties);
  require(hello.size() == 56 && parties == 2 && (hello[14] != 0) == config.checked,
          "a peer with other settings is accepted");
}

}  // namespace cryptensor::fuzz
