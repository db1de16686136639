// SPDX-License-Identifier: MIT
// Values in and out, and what the parties tell each other before.
#include <gtest/gtest.h>

#include <limits>

#include "core/errors.h"
#include "protocol/additive/announcement.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

const at::Tensor kValues = at::tensor({1.5, -2.25, 0.0, 100.0});

// The tensor at its owner, nothing elsewhere.
Input at_owner(const Engine& e, int owner, const at::Tensor& values = kValues) {
  return e.rank() == owner ? Input{values, {}} : Input{};
}

TEST(Input, BelongsToItsOwner) {
  for (const int parties : {2, 3, 4}) {
    run({parties}, [](Engine& e) {
      for (int src = 0; src < e.parties(); ++src) {
        const Secret x = e.input({at_owner(e, src)}, src)[0];
        EXPECT_EQ(x.owner(), src);
        EXPECT_EQ(x.fraction_bits(), 16);
        EXPECT_EQ(x.sizes(), kValues.sizes()) << "the others learn the shape";
        if (e.rank() != src) {
          EXPECT_EQ(at::count_nonzero(x.share()).item<int64_t>(), 0);
        }
        EXPECT_TRUE(at::equal(e.reveal(x, {}), kValues));
      }
    });
  }
}

TEST(Input, SeveralEnterInOneRound) {
  run({3}, [](Engine& e) {
    std::vector<Input> inputs;
    for (const Sizes& sizes : std::vector<Sizes>{{}, {0}, {2, 3}, {1, 1, 1, 1, 1, 1, 1, 1}}) {
      inputs.push_back(e.rank() == 1 ? Input{at::ones(sizes), {}} : Input{{}, sizes});
    }
    std::vector<Secret> secrets;
    EXPECT_EQ(cost_of(e, [&] { secrets = e.input(inputs, 1); }).rounds, 1u);
    ASSERT_EQ(secrets.size(), 4u);
    EXPECT_EQ(secrets[3].numel(), 1);
    EXPECT_TRUE(e.input({}, 0).empty());
  });
}

TEST(Input, SharesAndReveals) {
  for (const Settings& settings : all_settings()) {
    run(settings, [](Engine& e) {
      const int last = e.parties() - 1;
      const Secret owned = e.input({at_owner(e, last)}, last)[0];
      for (const Secret& x : {owned, e.share(owned), e.encode_public(kValues),
                              e.product(kMultiply, owned, e.encode_public(at::ones({4})))}) {
        EXPECT_TRUE(at::equal(e.reveal(x, {}), kValues));
        for (int dst = 0; dst < e.parties(); ++dst) {
          const at::Tensor seen = e.reveal(x, dst);
          ASSERT_EQ(seen.defined(), e.rank() == dst);
          if (seen.defined()) {
            EXPECT_TRUE(at::equal(seen, kValues));
          }
        }
      }
      EXPECT_EQ(e.statistics().reveals, 4u * (1 + e.parties()));
      EXPECT_THROW(e.reveal(owned, -1), ConfigError);
      EXPECT_THROW(e.reveal(owned, e.parties()), ConfigError);
    });
  }
}

TEST(Input, NothingCanBeRevealedOfNothing) {
  for (const int parties : {2, 3}) {
    run({parties}, [](Engine& e) {
      const Secret owned = e.input({at_owner(e, 1, at::zeros({0, 3}))}, 1)[0];
      for (const Secret& x : {owned, e.share(owned), e.square(e.share(owned))}) {
        EXPECT_EQ(e.reveal(x, {}).sizes().vec(), (Sizes{0, 3}));
        const at::Tensor seen = e.reveal(x, 0);
        ASSERT_EQ(seen.defined(), e.rank() == 0);
        if (seen.defined()) {
          EXPECT_EQ(seen.sizes().vec(), (Sizes{0, 3}));
        }
      }
    });
  }
}

TEST(Input, SharesAreRandom) {
  run({2}, [](Engine& e) {
    const Secret owned = e.input({at_owner(e, 0, at::zeros({1000}))}, 0)[0];
    const at::Tensor a = e.share(owned).share(), b = e.share(owned).share();
    EXPECT_EQ((a == 0).sum().item<int64_t>(), 0);
    EXPECT_EQ((a == b).sum().item<int64_t>(), 0);
  });
}

// Every party sees an error of the same class, and the session can be used afterwards.
template <class E>
void expect_everywhere(int parties, const std::function<void(Engine&)>& work) {
  run({parties}, [&](Engine& e) {
    EXPECT_THROW(work(e), E) << "party " << e.rank();
    EXPECT_TRUE(at::equal(e.reveal(e.input({at_owner(e, 0)}, 0)[0], {}), kValues));
  });
}

TEST(InputErrors, ABadValueRaisesOnEveryParty) {
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e15}) {
    for (const int src : {0, 2}) {
      expect_everywhere<RangeError>(
          3, [&](Engine& e) { e.input({at_owner(e, src, at::full({2}, bad))}, src); });
    }
  }
}

TEST(InputErrors, OnlyTheOwnerSeesTheValue) {
  run({2}, [](Engine& e) {
    try {
      e.input({at_owner(e, 0, at::full({2}, 777e20, at::kDouble))}, 0);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const RangeError& error) {
      const bool named = std::string(error.what()).find("7.77e+22") != std::string::npos;
      EXPECT_EQ(named, e.rank() == 0) << error.what();
    }
  });
}

TEST(InputErrors, ABadTypeRaisesOnEveryParty) {
  for (const at::Tensor& bad : {at::zeros({2}, at::kComplexFloat), at::zeros({2, 2}).to_sparse()}) {
    expect_everywhere<ConfigError>(3, [&](Engine& e) { e.input({at_owner(e, 1, bad)}, 1); });
  }
}

TEST(InputErrors, DifferentShapesRaiseOnEveryParty) {
  expect_everywhere<ShapeError>(3, [](Engine& e) {
    e.input({e.rank() == 0 ? Input{kValues, {}} : Input{{}, Sizes{e.rank() == 2 ? 5 : 4}}}, 0);
  });
  expect_everywhere<ShapeError>(
      2, [](Engine& e) { e.input(std::vector<Input>(1 + e.rank(), Input{kValues, {}}), 0); });
}

TEST(InputErrors, TheOwnerMustBeOneAndHaveData) {
  expect_everywhere<ConfigError>(3, [](Engine& e) { e.input({Input{kValues, {}}}, e.rank() % 2); });
  for (const int src : {-1, 3, 1 << 20}) {
    expect_everywhere<ConfigError>(3, [&](Engine& e) { e.input({Input{kValues, {}}}, src); });
  }
  expect_everywhere<ConfigError>(2, [](Engine& e) { e.input({Input{}}, 1); });
  expect_everywhere<ConfigError>(2, [](Engine& e) { e.input({Input{{}, Sizes{4}}}, 1); });
}

TEST(InputErrors, TooManyDimensionsRaiseOnEveryParty) {
  expect_everywhere<ShapeError>(
      2, [](Engine& e) { e.input({at_owner(e, 1, at::zeros(Sizes(9, 1)))}, 1); });
}

TEST(InputErrors, TooManyInputsRaiseOnEveryParty) {
  // Only the owner's announcement is too long.
  expect_everywhere<ConfigError>(2, [](Engine& e) {
    e.input(std::vector<Input>(2000, at_owner(e, 1, at::zeros({1, 1, 1, 1, 1}))), 1);
  });
}

}  // namespace
}  // namespace cryptensor::protocol
