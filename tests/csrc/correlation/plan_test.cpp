// SPDX-License-Identifier: MIT
#include "correlation/plan.h"

#include <gtest/gtest.h>

#include "core/errors.h"
#include "planned.h"

namespace cryptensor::correlation {
namespace {

using planned::kSettings;
using planned::served;

template <class Work>
void expect_refused(const std::string& what, const Work& work) {
  try {
    work();
    ADD_FAILURE() << "not refused: " << what;
  } catch (const StoreError& error) {
    EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
  }
}

TEST(Plan, HasTheFirstStepInItsStart) {
  const Recording recording = served(5);
  const Plan plan = Plan::of(kSettings, recording);
  EXPECT_EQ(plan.before_size(), 0u);
  EXPECT_EQ(plan.start_size(), planned::kFirst);
  EXPECT_EQ(plan.step_size(), planned::kStep);
  ASSERT_EQ(plan.lot_size(4), recording.taken.size());
  uint64_t offset = 0;
  for (uint64_t serial = 0; serial < recording.taken.size(); ++serial) {
    const Descriptor& taken = recording.taken[serial];
    EXPECT_EQ(plan.at(serial).digest(), taken.digest()) << serial;
    EXPECT_TRUE(plan.is_at(serial, taken, taken.digest())) << serial;
    EXPECT_EQ(plan.offset(serial), offset) << serial;
    offset += (taken.correction_bytes() + 63) / 64 * 64;
  }
  EXPECT_EQ(plan.lot_bytes(4), offset);
  // The same kind of another step is about another mask.
  const Descriptor& earlier = recording.taken[planned::kFirst + 2];
  EXPECT_FALSE(plan.is_at(planned::kFirst + planned::kStep + 2, earlier, earlier.digest()));
}

TEST(Plan, IsTheSameAfterAWayThroughBytes) {
  const Plan plan = Plan::of({3, 20, 2, true}, served(3, 7));
  const Plan again = Plan::parse(plan.serialize());
  EXPECT_EQ(again.digest(), plan.digest());
  EXPECT_EQ(again.settings(), plan.settings());
  EXPECT_EQ(again.start_size(), plan.start_size());
  EXPECT_NE(Plan::of(kSettings, served(3, 7)).digest(), plan.digest());
}

TEST(Plan, RefusesBytesThatNoPlanHas) {
  const auto bytes = Plan::of(kSettings, served(3)).serialize();
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(Plan::parse({bytes.data(), n}), StoreError) << n;
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    auto altered = bytes;
    altered[at] ^= 0x81;
    try {
      Plan::parse(altered);  // many are plans too; none may do harm
    } catch (const StoreError&) {
    }
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_THROW(Plan::parse(longer), StoreError);
}

TEST(Plan, RefusesProgramsThatDoNotRepeat) {
  expect_refused("takes no correlations", [] { Plan::of(kSettings, {}); });
  expect_refused("has 2 steps", [] { Plan::of(kSettings, served(2)); });
  expect_refused("step 3 is not like step 1", [] {
    Recording recording = served(4);
    recording.taken.back() = Descriptor::make_wrap(3, 16);
    Plan::of(kSettings, recording);
  });
  expect_refused("takes 4 correlations instead of 3", [] {
    Recording recording = served(4);
    recording.taken.push_back(Descriptor::make_wrap(3, 16));
    recording.steps.back().second++;
    Plan::of(kSettings, recording);
  });
  expect_refused("outside of the steps", [] {
    Recording recording = served(3);
    recording.taken.push_back(Descriptor::make_wrap(3, 16));
    Plan::of(kSettings, recording);
  });
  expect_refused("takes no correlations", [] {
    Recording recording = served(3);
    recording.steps = {{0, recording.taken.size()},
                       {recording.taken.size(), recording.taken.size()},
                       {recording.taken.size(), recording.taken.size()}};
    Plan::of(kSettings, recording);
  });
}

TEST(Plan, RefusesStepsThatUseWhatAnEarlierOneOpened) {
  Recording recording = served(3);
  // The third step's product is about the second step's mask.
  recording.taken.back() = recording.taken[planned::kFirst + planned::kStep - 1];
  expect_refused("step 2 is not like step 1", [&] { Plan::of(kSettings, recording); });
}

TEST(Plan, RefusesMasksThatWereNotTaken) {
  Recording recording = served(0);
  std::swap(recording.taken[0], recording.taken[2]);
  expect_refused("is about no mask", [&] { Plan::of(kSettings, recording); });
}

TEST(Describe, NamesEveryKind) {
  for (const Descriptor& d : examples::all_kinds()) EXPECT_NE(describe(d), "unknown");
  EXPECT_EQ(multiplications(examples::all_kinds()[5]), 4u * 6 * 4);
}

}  // namespace
}  // namespace cryptensor::correlation
