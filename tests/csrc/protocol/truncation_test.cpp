// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "core/errors.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

// What protocol/engine.h declares, in units of the last place of the result.
Bound bound_of(Truncation kind) {
  switch (kind) {
    case Truncation::local:
      return {-1, 1};
    case Truncation::one_bit:
      return {0, 1};
    case Truncation::interactive:
      return {0, 1};
    case Truncation::exact:
      return {0, 0};
  }
  return {};
}

std::vector<Truncation> kinds(int parties) {
  if (parties > 2) return {Truncation::interactive, Truncation::exact};
  return {Truncation::one_bit, Truncation::interactive, Truncation::exact};
}

// Around 0, every power of two and the bounds; then random ones of every magnitude.
at::Tensor edges(int64_t n = 700) {
  std::vector<int64_t> values{0, 1, -1, 2, -2, 3, -3};
  for (int bit = 2; bit < 62; ++bit) {
    for (const int64_t v : {(int64_t{1} << bit) - 1, int64_t{1} << bit, (int64_t{1} << bit) + 1}) {
      values.insert(values.end(), {v, -v});
    }
  }
  const int64_t bound = (int64_t{1} << 62) - 1;
  values.insert(values.end(), {bound, -bound, bound - 1, 1 - bound});
  std::mt19937_64 random(4);
  while (static_cast<int64_t>(values.size()) < n) {
    values.push_back(static_cast<int64_t>(random()) >> (2 + random() % 61));
  }
  return at::tensor(values, at::kLong);
}

TEST(Truncate, EveryKindShiftAndNumberOfParties) {
  for (const Settings& settings : all_settings()) {
    for (const Truncation kind : kinds(settings.parties)) {
      SCOPED_TRACE(name(kind));
      expect_conforms(
          settings,
          [&](Engine& e) {
            Secrets out;
            for (int bits = 1; bits <= 32; ++bits) {
              out.push_back(e.truncate(shared(e, edges(), 40, 100 * bits), bits, kind));
            }
            return out;
          },
          bound_of(kind));
    }
  }
}

TEST(Truncate, TogetherEachKeepsItsOwnShift) {
  for (const Settings& settings : all_settings()) {
    for (const Truncation kind : kinds(settings.parties)) {
      SCOPED_TRACE(name(kind));
      Settings of_kind = settings;
      of_kind.truncation = kind;
      expect_conforms(
          of_kind,
          [&](Engine& e) {
            const Secret x = shared(e, edges(), 40, 1), y = shared(e, edges(65), 48, 2);
            const Secret z = operand(e, draw({3, 5}, 3, 40), 30, Holder::last);
            const Secret none = shared(e, draw({0}, 4), 20);
            return e.truncate_together({{x, 24}, {z, 30}, {y, 48}, {none, 4}, {x, 1}});
          },
          bound_of(kind));
    }
  }
}

TEST(Truncate, LocalIsRightForSmallValues) {
  // Its declared failures have probability |x| / 2^64 each: 2^-24 for all of these together.
  const at::Tensor x = draw({1000}, 1, 30);
  expect_conforms(
      {},
      [&](Engine& e) {
        Secrets out;
        for (int bits = 1; bits <= 24; ++bits) {
          out.push_back(e.truncate(shared(e, x, 32, 100 * bits), bits, Truncation::local));
        }
        return out;
      },
      bound_of(Truncation::local));
}

TEST(Truncate, LocalFailsAsDeclaredForLargeValues) {
  // |x| = 2^61 wraps with probability 1/8. A test that cannot see this would see nothing.
  const at::Tensor x = at::full({8000}, int64_t{1} << 61, at::kLong);
  const Program program = [&](Engine& e) {
    return Secrets{e.truncate(shared(e, x, 32), 16, Truncation::local)};
  };
  const at::Tensor expected = run_plaintext({}, program).values[0];
  const at::Tensor difference = run_additive({}, program).values[0] - expected;
  const int64_t wrong = (difference.abs() > 1).sum().item<int64_t>();
  EXPECT_GT(wrong, 800);
  EXPECT_LT(wrong, 1200);
}

TEST(Truncate, TheDefaultIsNeverWrongInAMillion) {
  const at::Tensor x = at::full({1 << 20}, int64_t{1024} << 32, at::kLong);
  for (const int parties : {2, 3}) {
    const Bound bound = bound_of(parties == 2 ? Truncation::one_bit : Truncation::interactive);
    expect_conforms(
        {parties},
        [&](Engine& e) {
          const Secret s = shared(e, x, 32);
          return Secrets{e.settle(s), e.settle(e.negate(s))};
        },
        bound);
  }
}

TEST(Truncate, TheDefaultKindDependsOnTheNumberOfParties) {
  for (const int parties : {2, 3, 4}) {
    run({parties}, [&](Engine& e) {
      e.statistics().reset();
      e.truncate(shared(e, draw({64}, 1, 40), 32), 16, {});
      EXPECT_EQ(e.statistics().operations().at("truncate").bytes_sent,
                parties == 2 ? 8u : 8u * 64 * (parties - 1));
    });
  }
}

TEST(Truncate, TheConfiguredKindIsTheDefault) {
  for (const int parties : {2, 3}) {
    Settings settings{parties};
    settings.truncation = Truncation::exact;
    expect_conforms(settings, [&](Engine& e) { return Secrets{e.settle(shared(e, edges(), 32))}; });
  }
}

TEST(Truncate, ViewsAndEdgeShapes) {
  const at::Tensor x = edges(24 * 25).view({24, 25});
  for (const int parties : {2, 3}) {
    for (const Truncation kind : kinds(parties)) {
      SCOPED_TRACE(name(kind));
      expect_conforms(
          {parties},
          [&](Engine& e) {
            Secrets out;
            const Secret s = shared(e, x, 32);
            for (const at::Tensor& view :
                 {s.share().t(), s.share().slice(1, 3, 20, 4), s.share()[5].expand({3, 25}),
                  s.share()[2][3], s.share().slice(0, 0, 0)}) {
              out.push_back(e.truncate(s.rearranged(view), 16, kind));
            }
            out.push_back(e.truncate(shared(e, draw({0, 3}, 1), 32), 16, kind));
            out.push_back(e.truncate(shared(e, draw({}, 1, 50), 32), 16, kind));
            return out;
          },
          bound_of(kind));
    }
  }
}

TEST(Truncate, AfterAProductUsesTheSameOpening) {
  for (const Settings& settings : all_settings()) {
    const at::Tensor x = draw({3, 5}, 1, 28);
    expect_conforms(settings,
                    [&](Engine& e) {
                      const Secret s = shared(e, x, 16), y = e.square(s);
                      const Secret turned = s.rearranged(s.share().t());
                      e.statistics().reset();
                      const Secret first = e.truncate(s, 5, Truncation::interactive);
                      const Secret second = e.truncate(turned, 20 - 9, Truncation::interactive);
                      EXPECT_EQ(e.statistics().operations().at("truncate").bytes_sent, 0u);
                      EXPECT_EQ(e.statistics().operations().at("truncate").rounds, 0u);
                      return Secrets{first, second};
                    },
                    {0, 1});
  }
}

TEST(Truncate, OfWhatAPartyKnowsIsTheFloor) {
  for (const int parties : {2, 3}) {
    expect_conforms({parties}, [&](Engine& e) {
      Secrets out;
      for (const Holder holder : {Holder::first, Holder::last, Holder::everyone}) {
        for (const int bits : {1, 16, 32}) {
          out.push_back(e.truncate(operand(e, edges(), 32, holder), bits, {}));
        }
      }
      return out;
    });
  }
}

TEST(Truncate, RefusesKindsAndBitsThatDoNotExist) {
  run({3}, [](Engine& e) {
    const Secret x = shared(e, draw({2}, 1, 40), 32);
    EXPECT_THROW(e.truncate(x, 16, Truncation::local), ConfigError);
    EXPECT_THROW(e.truncate(x, 16, Truncation::one_bit), ConfigError);
    for (const int bits : {0, -1, 33, 64}) EXPECT_THROW(e.truncate(x, bits, {}), ConfigError);
    EXPECT_THROW(e.truncate(shared(e, draw({2}, 1), 8), 9, {}), ConfigError);
    EXPECT_NO_THROW(e.truncate(x, 16, {}));
  });
}

}  // namespace
}  // namespace cryptensor::protocol
