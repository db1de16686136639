// SPDX-License-Identifier: MIT
#include "net/frame.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

constexpr size_t kPayload = 24;

FrameHeader expected_header() {
  return {.operation = Operation::compare,
          .dtype = DType::bits,
          .lane = 2,
          .sender = 3,
          .session = 0x1122334455667788,
          .sequence = 42,
          .length = kPayload};
}

std::vector<uint8_t> good_frame() {
  std::vector<uint8_t> frame(kHeaderBytes + kPayload, 0xEE);
  write(expected_header(), frame.data());
  return frame;
}

std::string refusal(const std::vector<uint8_t>& frame, LengthRule rule = LengthRule::exact) {
  try {
    check(frame, expected_header(), rule);
  } catch (const ProtocolError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Frame, LayoutIsFixed) {
  const std::vector<uint8_t> wire = {
      'C',  'T',  'F',  '1',  1,    0,    8,    0,     // magic, version, operation
      0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,  // session
      42,   0,    0,    0,    0,    0,    0,    0,     // sequence
      3,    0,    2,    2,    0,    0,    0,    0,     // sender, dtype, lane, reserved
      24,   0,    0,    0,    0,    0,    0,    0,     // length
      0,    0,    0,    0,    0,    0,    0,    0};    // spare
  const std::vector<uint8_t> frame = good_frame();
  EXPECT_EQ(std::vector<uint8_t>(frame.begin(), frame.begin() + kHeaderBytes), wire);
}

TEST(Frame, AcceptsWhatWasExpected) {
  EXPECT_EQ(check(good_frame(), expected_header(), LengthRule::exact), kPayload);
}

struct FieldCase {
  const char* name;
  size_t offset;
  size_t bytes;
  uint64_t value;
  const char* message;
};

class FrameField : public testing::TestWithParam<FieldCase> {};

TEST_P(FrameField, IsRefusedByName) {
  std::vector<uint8_t> frame = good_frame();
  std::memcpy(&frame[GetParam().offset], &GetParam().value, GetParam().bytes);
  EXPECT_EQ(refusal(frame), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Table, FrameField,
    testing::Values(
        FieldCase{"magic", 0, 4, 0x47455420,
                  "frame field 'magic' is 0x47455420, expected 0x31465443"},
        FieldCase{"version", 4, 2, 2, "frame field 'version' is 2, expected 1"},
        FieldCase{"operation", 6, 2, 9,
                  "frame field 'operation' is reveal (9), expected compare (8)"},
        FieldCase{"operation_zero", 6, 2, 0,
                  "frame field 'operation' is unknown (0), expected compare (8)"},
        FieldCase{"operation_unknown", 6, 2, 999,
                  "frame field 'operation' is unknown (999), expected compare (8)"},
        FieldCase{"session", 8, 8, 7, "frame field 'session' is 0x7, expected 0x1122334455667788"},
        FieldCase{"replayed", 16, 8, 41, "frame field 'sequence' is 41, expected 42"},
        FieldCase{"skipped", 16, 8, 43, "frame field 'sequence' is 43, expected 42"},
        FieldCase{"sender", 24, 2, 1, "frame field 'sender' is 1, expected 3"},
        FieldCase{"dtype", 26, 1, 1, "frame field 'dtype' is int64 (1), expected bits (2)"},
        FieldCase{"dtype_unknown", 26, 1, 99,
                  "frame field 'dtype' is unknown (99), expected bits (2)"},
        FieldCase{"lane", 27, 1, 0, "frame field 'lane' is 0, expected 2"},
        FieldCase{"reserved", 28, 4, 1, "frame field 'reserved' is 0x1, expected 0x0"},
        FieldCase{"shorter", 32, 8, 16, "frame field 'length' is 16, expected 24"},
        FieldCase{"huge", 32, 8, uint64_t{1} << 60,
                  "frame field 'length' is 1152921504606846976, expected 24"},
        FieldCase{"spare", 40, 8, 256, "frame field 'spare' is 0x100, expected 0x0"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Frame, EveryHeaderBitCounts) {
  for (size_t bit = 0; bit < 8 * kHeaderBytes; ++bit) {
    std::vector<uint8_t> frame = good_frame();
    frame[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_NE(refusal(frame), "accepted") << "bit " << bit;
  }
}

TEST(Frame, NamesTheHeaderThatIsIncomplete) {
  for (size_t size = 0; size < kHeaderBytes; ++size) {
    std::vector<uint8_t> frame = good_frame();
    frame.resize(size);
    EXPECT_EQ(refusal(frame),
              "frame field 'header' is " + std::to_string(size) + " bytes, expected 48 bytes");
  }
}

TEST(Frame, NamesThePayloadThatIsCutOrHasMore) {
  std::vector<uint8_t> frame = good_frame();
  frame.pop_back();
  EXPECT_EQ(refusal(frame), "frame field 'payload' is 23 bytes, expected 24 bytes by its length");
  frame.resize(kHeaderBytes + kPayload + 1);
  EXPECT_EQ(refusal(frame), "frame field 'payload' is 25 bytes, expected 24 bytes by its length");
}

TEST(Frame, LengthMayBeALimit) {
  for (uint64_t length : {0, 1, 23, 24}) {
    FrameHeader header = expected_header();
    header.length = length;
    std::vector<uint8_t> frame(kHeaderBytes + length);
    write(header, frame.data());
    EXPECT_EQ(check(frame, expected_header(), LengthRule::at_most), length);
  }
  FrameHeader header = expected_header();
  header.length = 25;
  std::vector<uint8_t> frame(kHeaderBytes + 25);
  write(header, frame.data());
  EXPECT_EQ(refusal(frame, LengthRule::at_most), "frame field 'length' is 25, expected at most 24");
}

TEST(Frame, EveryOperationHasAName) {
  EXPECT_STREQ(name(Operation::handshake), "handshake");
  EXPECT_STREQ(name(Operation::dealer_correction), "dealer_correction");
  EXPECT_STREQ(name(Operation::test), "test");
  EXPECT_STREQ(name(static_cast<Operation>(static_cast<int>(Operation::test) + 1)), "unknown");
}

}  // namespace
}  // namespace cryptensor::net
