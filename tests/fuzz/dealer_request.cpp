// SPDX-License-Identifier: MIT
// Input: a byte for the number of parties, then the descriptor of a correlation.
#include <algorithm>
#include <cstring>

#include "core/errors.h"
#include "correlation/descriptor.h"
#include "correlation/serving.h"
#include "fuzz/targets.h"
#include "net/memory_transport.h"

namespace cryptensor::fuzz {
namespace {

using correlation::Descriptor;

// Larger ones are allowed and take their time.
constexpr size_t kFewBytes = 16 << 10;

bool is_small(const Descriptor& d) {
  uint64_t work = d.numel * std::max<uint64_t>(d.size, 1);
  if (d.kind == correlation::Kind::point) work = d.numel << d.size;
  return d.correction_bytes() <= kFewBytes && work <= kFewBytes && d.left.mask.numel <= kFewBytes &&
         d.right.mask.numel <= kFewBytes;
}

// A dealer that is asked for it and sent home by the last party.
void deal(Input descriptor, int parties) {
  net::MemoryHub hub(parties + 1);
  net::Channel client(hub.transport(parties - 1), 7, std::chrono::seconds(5));
  net::Message request(16 + descriptor.size());
  const uint32_t count = 1, length = static_cast<uint32_t>(descriptor.size());
  const uint64_t serial = 3;
  std::memcpy(request.data(), &count, 4);
  std::memcpy(request.data() + 4, &serial, 8);
  std::memcpy(request.data() + 12, &length, 4);
  std::memcpy(request.data() + 16, descriptor.data(), descriptor.size());
  net::Message goodbye(4);
  std::memset(goodbye.data(), 0, 4);
  for (net::Message* message : {&request, &goodbye}) {
    client.send(parties, net::kRequestLane, net::Operation::dealer_request, net::DType::bytes,
                std::move(*message));
  }
  net::Channel dealer(hub.transport(parties), 7, std::chrono::seconds(5));
  correlation::serve_dealer(dealer, parties);
}

}  // namespace

void dealer_request(Input input) {
  if (input.empty()) return;
  const int parties = 2 + input[0] % 15;
  const Input bytes = input.subspan(1);
  Descriptor descriptor;
  try {
    descriptor = Descriptor::parse(bytes, parties);
  } catch (const ProtocolError&) {
    return;
  }
  require(std::ranges::equal(descriptor.serialize(), bytes), "accepted bytes say something else");
  require(descriptor.correction_bytes() <= correlation::kMaxCorrectionBytes, "beyond the limit");
  if (is_small(descriptor)) deal(bytes, parties);
}

}  // namespace cryptensor::fuzz
