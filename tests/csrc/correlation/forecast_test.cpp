// SPDX-License-Identifier: MIT
#include "correlation/forecast.h"

#include <gtest/gtest.h>

#include "examples.h"

namespace cryptensor::correlation {
namespace {

using examples::mask_name;
using examples::whole;

using Program = std::vector<Descriptor>;

// A mask of `numel` elements, its product with a weight's mask, a comparison.
void layer(Program& program, int64_t numel, const MaskName& weight) {
  const MaskName mask = mask_name(program.size(), numel, 3);
  program.push_back(Descriptor::make_mask(numel, 3));
  program.push_back(Descriptor::make_bilinear(examples::multiply(), whole(mask, {numel}),
                                              whole(weight, {numel})));
  program.push_back(Descriptor::make_comparison(numel, Comparison::relu_truncate, 16));
}

constexpr size_t kPass = 6;  // correlations of one pass

void pass(Program& program) {
  layer(program, 8, mask_name(0, 8, 3, true));
  layer(program, 5, mask_name(1, 5, 3, true));
}

// Two weights, then `passes` passes of the same two layers.
Program network(int passes) {
  Program program{Descriptor::make_mask(8, 3), Descriptor::make_mask(5, 3)};
  for (int i = 0; i < passes; ++i) pass(program);
  return program;
}

std::vector<uint8_t> bytes(const std::optional<Descriptor>& d) {
  return d ? d->serialize() : std::vector<uint8_t>();
}

void record(Forecast& forecast, const Program& program, size_t from, size_t to) {
  for (size_t i = from; i < to; ++i) forecast.record(i, program[i]);
}

TEST(Forecast, KnowsNothingBeforeAnythingRepeats) {
  Forecast forecast;
  EXPECT_FALSE(forecast.expect(0));
  const Program program{Descriptor::make_mask(1, 3), Descriptor::make_mask(2, 3),
                        Descriptor::make_wrap(3, 16)};
  record(forecast, program, 0, 3);
  EXPECT_FALSE(forecast.expect(3));
}

TEST(Forecast, PredictsAPeriodicProgram) {
  const Program program = network(6);
  Forecast forecast;
  record(forecast, program, 0, 2 + 2 * kPass);
  for (size_t at = 2 + 2 * kPass; at < program.size(); ++at) {
    // From here to the end, over several periods.
    for (size_t ahead = at; ahead < program.size(); ++ahead) {
      ASSERT_EQ(bytes(forecast.expect(ahead)), program[ahead].serialize()) << at << " " << ahead;
    }
    forecast.record(at, program[at]);
  }
}

TEST(Forecast, MasksOfAPassAreRelativeAndThoseOfWeightsAbsolute) {
  const Program program = network(2);
  Forecast forecast;
  record(forecast, program, 0, program.size());
  const uint64_t next = program.size();
  const auto product = forecast.expect(next + 1);
  ASSERT_TRUE(product);
  EXPECT_EQ(product->left.mask.serial, next) << "the mask that comes right before";
  EXPECT_EQ(product->right.mask.serial, 0u) << "the weight's, opened once";
  EXPECT_TRUE(product->right.mask.long_lived);
}

TEST(Forecast, ItsGuessesOfTheSecondPassBeginWithTheFirstRepetition) {
  const Program program = network(2);
  Forecast forecast;
  record(forecast, program, 0, 2 + kPass + 1);
  EXPECT_EQ(bytes(forecast.expect(2 + kPass + 1)), program[2 + kPass + 1].serialize());
}

TEST(Forecast, AChangedWeightIsLearnt) {
  Program program = network(2);
  const uint64_t opened_again = program.size();
  program.push_back(Descriptor::make_mask(8, 3));
  for (int i = 0; i < 3; ++i) {
    layer(program, 8, mask_name(opened_again, 8, 3, true));
    layer(program, 5, mask_name(1, 5, 3, true));
  }
  Forecast forecast;
  record(forecast, program, 0, opened_again + 1 + 2 * kPass);
  for (size_t i = opened_again + 1 + 2 * kPass; i < program.size(); ++i) {
    EXPECT_EQ(bytes(forecast.expect(i)), program[i].serialize()) << i;
  }
}

TEST(Forecast, FollowsAChangeOfProgram) {
  Program program = network(3);
  const size_t change = program.size();
  for (int i = 0; i < 12; ++i) {
    program.push_back(i % 2 ? Descriptor::make_wrap(11, 16)
                            : Descriptor::make_comparison(12, Comparison::sign, 0));
  }
  Forecast forecast;
  record(forecast, program, 0, change);
  EXPECT_NE(bytes(forecast.expect(change)), program[change].serialize());
  record(forecast, program, change, change + 1);
  EXPECT_FALSE(forecast.expect(change + 1)) << "never seen before";
  record(forecast, program, change + 1, change + 4);
  for (size_t i = change + 4; i < program.size(); ++i) {
    EXPECT_EQ(bytes(forecast.expect(i)), program[i].serialize()) << i;
  }
}

TEST(Forecast, StartsAtAnySerial) {
  Forecast forecast;
  for (uint64_t s = 1000; s < 1003; ++s) forecast.record(s, Descriptor::make_wrap(4, 16));
  EXPECT_EQ(bytes(forecast.expect(1003)), Descriptor::make_wrap(4, 16).serialize());
  EXPECT_FALSE(forecast.expect(1002)) << "already recorded";
}

TEST(Forecast, WhatRepeatsIsKeptOnce) {
  Forecast forecast;
  for (size_t i = 0; i < 2 * Forecast::kHistory; ++i) {
    forecast.record(i, Descriptor::make_comparison(8 + i % 7, Comparison::relu_truncate, 16));
  }
  EXPECT_LT(forecast.memory(), Forecast::kHistory * 16 + (8 << 10));
}

TEST(Forecast, ItsMemoryIsBoundedWhereNothingRepeats) {
  Forecast forecast;
  uint64_t serial = 0;
  for (; serial < Forecast::kHistory; ++serial) {
    forecast.record(serial, Descriptor::make_mask(1 + serial, 3));
    ASSERT_LE(forecast.memory(), Forecast::kHistoryBytes + Forecast::kHistory * 16);
  }
  // The latest are known still, the oldest are not.
  forecast.record(serial++, Descriptor::make_mask(60'001, 3));
  EXPECT_EQ(bytes(forecast.expect(serial)), Descriptor::make_mask(60'002, 3).serialize());
  forecast.record(serial++, Descriptor::make_mask(1, 3));
  EXPECT_FALSE(forecast.expect(serial));
}

TEST(Forecast, ForgetsWhatIsLongAgo) {
  Forecast forecast;
  uint64_t serial = 0;
  forecast.record(serial++, Descriptor::make_mask(1, 3));
  forecast.record(serial++, Descriptor::make_mask(2, 3));
  // Nothing of this repeats, and it fills the history.
  for (size_t i = 0; i < Forecast::kHistory; ++i) {
    forecast.record(serial++, Descriptor::make_mask(10 + i, 3));
    ASSERT_FALSE(forecast.expect(serial));
  }
  forecast.record(serial++, Descriptor::make_mask(1, 3));
  EXPECT_FALSE(forecast.expect(serial)) << "its successor is forgotten";
  forecast.record(serial++, Descriptor::make_mask(10 + Forecast::kHistory - 3, 3));
  EXPECT_EQ(bytes(forecast.expect(serial)),
            Descriptor::make_mask(10 + Forecast::kHistory - 2, 3).serialize());
}

}  // namespace
}  // namespace cryptensor::correlation
