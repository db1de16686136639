// SPDX-License-Identifier: MIT
// The header in front of every payload, 48 bytes, little-endian:
//
//   offset  0  magic      u32  'CTF1'
//           4  version    u16
//           6  operation  u16
//           8  session    u64
//          16  sequence   u64  counts per sender, receiver and lane
//          24  sender     u16
//          26  dtype      u8
//          27  lane       u8
//          28  reserved   u32  zero
//          32  length     u64  payload bytes
//          40  spare      u64  zero
//
// A receiver knows every field before the frame arrives, except perhaps the length. Each
// difference is an error, so that parties that fell out of step stop instead of computing garbage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cryptensor::net {

inline constexpr size_t kHeaderBytes = 48;
inline constexpr uint32_t kMagic = 0x31465443;  // "CTF1"
inline constexpr uint16_t kVersion = 1;

// What a frame carries. The numbers are part of the wire format.
enum class Operation : uint16_t {
  handshake = 1,
  announce,
  open_mask,
  multiply,
  matmul,
  convolution,
  truncate,
  compare,
  reveal,
  dealer_seed,
  dealer_request,
  dealer_correction,
  goodbye,
  test,
};
const char* name(Operation operation);  // "unknown" for a number that is none of them

enum class DType : uint8_t { bytes = 0, int64 = 1, bits = 2 };
const char* name(DType dtype);

struct FrameHeader {
  Operation operation = Operation::test;
  DType dtype = DType::bytes;
  uint8_t lane = 0;
  uint16_t sender = 0;
  uint64_t session = 0;
  uint64_t sequence = 0;
  uint64_t length = 0;
};

enum class LengthRule { exact, at_most };

void write(const FrameHeader& header, uint8_t* destination);

// Accepts what arrived as the frame that was expected and returns its payload length, else throws
// ProtocolError naming the first field that differs, what it holds and what was expected. With
// LengthRule::at_most `expected.length` is a limit. The only place that parses a peer's header.
uint64_t check(std::span<const uint8_t> frame, const FrameHeader& expected, LengthRule rule);

}  // namespace cryptensor::net
