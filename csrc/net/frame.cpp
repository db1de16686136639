// SPDX-License-Identifier: MIT
#include "net/frame.h"

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

struct Wire {
  uint32_t magic;
  uint16_t version;
  uint16_t operation;
  uint64_t session;
  uint64_t sequence;
  uint16_t sender;
  uint8_t dtype;
  uint8_t lane;
  uint32_t reserved;
  uint64_t length;
  uint64_t spare;
};
static_assert(sizeof(Wire) == kHeaderBytes && offsetof(Wire, length) == 32);

Wire wire(const FrameHeader& header) {
  return {.magic = kMagic,
          .version = kVersion,
          .operation = static_cast<uint16_t>(header.operation),
          .session = header.session,
          .sequence = header.sequence,
          .sender = header.sender,
          .dtype = static_cast<uint8_t>(header.dtype),
          .lane = header.lane,
          .reserved = 0,
          .length = header.length,
          .spare = 0};
}

std::string decimal(uint64_t value) { return std::to_string(value); }

std::string hex(uint64_t value) {
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string operation_text(uint64_t value) {
  return std::string(name(static_cast<Operation>(value))) + " (" + decimal(value) + ")";
}

std::string dtype_text(uint64_t value) {
  return std::string(name(static_cast<DType>(value))) + " (" + decimal(value) + ")";
}

[[noreturn]] void refuse(const char* field, const std::string& got, const std::string& expected) {
  throw ProtocolError("frame field '" + std::string(field) + "' is " + got + ", expected " +
                      expected);
}

void compare(const char* field, uint64_t got, uint64_t expected, std::string (*text)(uint64_t)) {
  if (got != expected) refuse(field, text(got), text(expected));
}

}  // namespace

const char* name(Operation operation) {
  constexpr std::array kNames = {"handshake", "announce",    "open_mask",      "multiply",
                                 "matmul",    "convolution", "truncate",       "compare",
                                 "reveal",    "dealer_seed", "dealer_request", "dealer_correction",
                                 "goodbye",   "test"};
  const size_t index = static_cast<size_t>(operation) - 1;  // 0 wraps to a large number
  return index < kNames.size() ? kNames[index] : "unknown";
}

const char* name(DType dtype) {
  switch (dtype) {
    case DType::bytes:
      return "bytes";
    case DType::int64:
      return "int64";
    case DType::bits:
      return "bits";
  }
  return "unknown";
}

void write(const FrameHeader& header, uint8_t* destination) {
  const Wire fields = wire(header);
  std::memcpy(destination, &fields, sizeof fields);
}

uint64_t check(std::span<const uint8_t> frame, const FrameHeader& expected, LengthRule rule) {
  if (frame.size() < kHeaderBytes) {
    refuse("header", decimal(frame.size()) + " bytes", decimal(kHeaderBytes) + " bytes");
  }
  Wire got;
  std::memcpy(&got, frame.data(), sizeof got);
  const Wire want = wire(expected);
  // In the order of what explains most: a frame that is none, one of another build or session, of
  // another place, of another time, of another kind.
  compare("magic", got.magic, want.magic, hex);
  compare("version", got.version, want.version, decimal);
  compare("session", got.session, want.session, hex);
  compare("sender", got.sender, want.sender, decimal);
  compare("lane", got.lane, want.lane, decimal);
  compare("sequence", got.sequence, want.sequence, decimal);
  compare("operation", got.operation, want.operation, operation_text);
  compare("dtype", got.dtype, want.dtype, dtype_text);
  compare("reserved", got.reserved, want.reserved, hex);
  compare("spare", got.spare, want.spare, hex);
  if (rule == LengthRule::exact) {
    compare("length", got.length, want.length, decimal);
  } else if (got.length > want.length) {
    refuse("length", decimal(got.length), "at most " + decimal(want.length));
  }
  const uint64_t payload = frame.size() - kHeaderBytes;
  if (payload != got.length) {
    refuse("payload", decimal(payload) + " bytes", decimal(got.length) + " bytes by its length");
  }
  return got.length;
}

}  // namespace cryptensor::net
