// SPDX-License-Identifier: MIT
// Input: a byte of choices, then the frame.
#include "net/frame.h"

#include <algorithm>

#include "core/errors.h"
#include "fuzz/targets.h"

namespace cryptensor::fuzz {

void frame(Input input) {
  if (input.empty()) return;
  const auto rule = input[0] & 1 ? net::LengthRule::at_most : net::LengthRule::exact;
  const net::FrameHeader expected{.operation = net::Operation::compare,
                                  .dtype = net::DType::bits,
                                  .lane = 2,
                                  .sender = 3,
                                  .session = 0x1122334455667788,
                                  .sequence = 42,
                                  .length = static_cast<uint64_t>(input[0] >> 1)};
  const Input bytes = input.subspan(1);
  uint64_t length = 0;
  try {
    length = net::check(bytes, expected, rule);
  } catch (const ProtocolError&) {
    return;
  }
  require(bytes.size() == net::kHeaderBytes + length, "a frame of another size is accepted");
  net::FrameHeader accepted = expected;
  if (rule == net::LengthRule::at_most) accepted.length = length;
  require(length <= expected.length, "a frame beyond the limit is accepted");
  std::array<uint8_t, net::kHeaderBytes> wanted;
  net::write(accepted, wanted.data());
  require(std::equal(wanted.begin(), wanted.end(), bytes.begin()), "another header is accepted");
}

}  // namespace cryptensor::fuzz
