// SPDX-License-Identifier: MIT
// Measured rounds and bytes are those that protocol/cost.h declares, exactly, at every party.
#include "protocol/cost.h"

#include <gtest/gtest.h>

#include "net/decorators.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

constexpr int64_t kSizes[] = {0, 1, 64, 65, 513, 1000};

// Only the last party receives corrections.
Cost at_party(const Engine& e, Cost declared) {
  if (e.rank() != e.parties() - 1) declared.dealer_bytes = 0;
  return declared;
}

void expect_cost(Engine& e, const Cost& declared, const std::function<void()>& work) {
  EXPECT_EQ(cost_of(e, work), at_party(e, declared)) << "party " << e.rank();
}

class Costs : public testing::TestWithParam<Settings> {};
INSTANTIATE_TEST_SUITE_P(Sessions, Costs, testing::ValuesIn(all_settings()), [](const auto& info) {
  return std::to_string(info.param.parties) + "_" +
         (info.param.third_party ? "third_party" : "first_party");
});

TEST_P(Costs, Comparisons) {
  run(GetParam(), [](Engine& e) {
    const int parties = e.parties();
    for (const int64_t n : kSizes) {
      SCOPED_TRACE(n);
      const Secret x = shared(e, draw({n}, 1, 40)), pending = shared(e, draw({n}, 2, 60), 32);
      const Secret wide = shared(e, draw({n}, 2, 60), 36);
      std::optional<Secret> sign;
      expect_cost(e, cost::relu(n, parties, 0), [&] { e.relu(x); });
      expect_cost(e, cost::relu(n, parties, 16), [&] { e.relu(pending); });
      expect_cost(e, cost::relu(n, parties, 16), [&] { e.relu(pending, &sign); });
      expect_cost(e, cost::relu(n, parties, 20), [&] { e.relu(wide); });
      expect_cost(e, cost::at_least_zero(n, parties), [&] { e.at_least_zero(x); });
      expect_cost(e, cost::relu(n, parties, 0), [&] { e.maximum(x, x); });
    }
  });
}

TEST_P(Costs, Truncations) {
  run(GetParam(), [](Engine& e) {
    std::vector<Truncation> kinds{Truncation::interactive, Truncation::exact};
    if (e.parties() == 2) kinds.insert(kinds.end(), {Truncation::local, Truncation::one_bit});
    for (const Truncation kind : kinds) {
      for (const int64_t n : kSizes) {
        for (const int bits : {1, 16, 17, 32}) {
          SCOPED_TRACE(std::string(name(kind)) + " " + std::to_string(n));
          const Secret x = shared(e, draw({n}, 1, 50), 40);
          expect_cost(e, cost::truncate(kind, n, e.parties(), bits),
                      [&] { e.truncate(x, bits, kind); });
        }
      }
    }
  });
}

TEST_P(Costs, TruncationsTogetherTakeTheRoundOfOne) {
  run(GetParam(), [](Engine& e) {
    const Truncation kind = e.truncation();
    const Secret x = shared(e, draw({65}, 1, 50), 40), y = shared(e, draw({3, 5}, 2, 50), 30);
    Cost declared = cost::truncate(kind, 65, e.parties(), 24);
    declared += cost::truncate(kind, 15, e.parties(), 3);
    declared.rounds = 1;
    expect_cost(e, declared, [&] { e.truncate_together({{x, 24}, {y, 3}}); });
    const Secret a = shared(e, draw({65}, 3, 50), 32), b = shared(e, draw({3, 5}, 4, 50), 16);
    const Secret c = shared(e, draw({7}, 5, 50), 36);
    declared = cost::truncate(kind, 65, e.parties(), 16);
    declared += cost::truncate(kind, 7, e.parties(), 20);
    declared.rounds = 1;
    expect_cost(e, declared, [&] { e.settle_together({a, b, c}); });
    expect_cost(e, {}, [&] { e.settle_together({b, e.public_units(1, 40)}); });
  });
}

TEST_P(Costs, Products) {
  run(GetParam(), [](Engine& e) {
    const int parties = e.parties();
    const auto fresh = [&](const Sizes& sizes) { return shared(e, draw(sizes, 1, 20)); };
    expect_cost(e, cost::product(35, 21, 15, parties),
                [&] { e.product(kMatmul, fresh({5, 7}), fresh({7, 3})); });
    expect_cost(e, cost::product(20, 4, 20, parties),
                [&] { e.product(kMultiply, fresh({5, 4}), fresh({4})); });
    expect_cost(e, cost::product(2 * 3 * 64, 4 * 3 * 9, 2 * 4 * 36, parties), [&] {
      e.product(convolution({1, 1}, {0, 0}, {1, 1}, 1), fresh({2, 3, 8, 8}), fresh({4, 3, 3, 3}));
    });
    expect_cost(e, cost::product(0, 0, 0, parties),
                [&] { e.product(kMultiply, fresh({0}), fresh({0})); });
    for (const int64_t n : kSizes) {
      expect_cost(e, cost::square(n, parties), [&] { e.square(fresh({n})); });
      const Secret x = fresh({n});
      expect_cost(e, cost::square(n, parties), [&] { e.product(kMultiply, x, x); });
    }
  });
}

TEST_P(Costs, ProductsWithAnOwner) {
  run(GetParam(), [](Engine& e) {
    const int parties = e.parties();
    for (const Holder holder : {Holder::first, Holder::last}) {
      const Secret w = operand(e, draw({7, 3}, 2, 20), 16, holder);
      w.store()->reused = true;
      const bool owns = w.owner() == e.rank();
      for (const bool open : {false, true, true}) {
        const Secret x = shared(e, draw({5, 7}, 3, 20));
        const auto declared = cost::owned_product(21, open, 35, 15, parties);
        expect_cost(e, owns ? declared.owner : declared.others, [&] { e.product(kMatmul, x, w); });
      }
      const auto turned = cost::owned_product(21, true, 14, 6, parties);
      expect_cost(e, owns ? turned.owner : turned.others, [&] {
        e.product(kMatmul, w.rearranged(w.share().t()), shared(e, draw({7, 2}, 4, 20)));
      });
    }
  });
}

// The other parties mask x once for all weights of one owner.
TEST_P(Costs, ProductsOfOneValueWithManyWeights) {
  run(GetParam(), [](Engine& e) {
    const Secret x = shared(e, draw({5, 7}, 3, 20)),
                 y = operand(e, draw({5, 7}, 3, 20), 16, Holder::first);
    for (const Secret& value : {x, y}) {
      for (const bool first : {true, false}) {
        const Secret w = operand(e, draw({7, 3}, 2, 20), 16, Holder::last);
        w.store()->reused = true;
        const auto declared = cost::owned_product(21, false, first ? 35 : 0, 15, e.parties());
        Cost mine = e.rank() == w.owner() ? declared.owner : declared.others;
        if (value.is_owned() && e.rank() != w.owner() && e.rank() != value.owner())
          mine.bytes_sent = 0;
        expect_cost(e, mine, [&] { e.product(kMatmul, value, w); });
        mine.rounds = mine.bytes_sent = 0;
        expect_cost(e, mine, [&] { e.product(kMatmul, value, w); });
      }
      e.write(value, shared(e, draw({5, 7}, 4, 20)));
      EXPECT_FALSE(value.store()->opening) << "another value under the same mask";
    }
  });
}

// What all have received under the mask of all serves an owner's operand as well.
TEST_P(Costs, AnOpenValueTimesOneOfAnOwner) {
  run(GetParam(), [](Engine& e) {
    const Secret x = shared(e, draw({5, 7}, 3, 20)),
                 w = operand(e, draw({7}, 2, 20), 16, Holder::last);
    w.store()->reused = true;
    e.square(x);
    expect_cost(e, cost::product(0, 7, 35, e.parties()), [&] { e.product(kMultiply, x, w); });
    Cost again = cost::product(0, 0, 35, e.parties());
    again.rounds = 0;
    expect_cost(e, again, [&] { e.product(kMultiply, x, w); });
  });
}

TEST_P(Costs, ProductsOfTwoOwners) {
  run(GetParam(), [](Engine& e) {
    const Secret w = operand(e, draw({7, 3}, 2, 20), 16, Holder::last);
    w.store()->reused = true;
    const Secret x = operand(e, draw({5, 7}, 3, 20), 16, Holder::first);
    const auto declared = cost::owned_product(21, false, 35, 15, e.parties());
    Cost mine = e.rank() == w.owner() ? declared.owner : declared.others;
    if (e.rank() != w.owner() && e.rank() != x.owner()) mine.bytes_sent = 0;
    expect_cost(e, mine, [&] { e.product(kMatmul, x, w); });
  });
}

TEST_P(Costs, Functions) {
  run(GetParam(), [](Engine& e) {
    const int parties = e.parties();
    for (const int64_t n : kSizes) {
      SCOPED_TRACE(n);
      const Secret x = shared(e, draw({n}, 1, 40));
      const std::vector<std::vector<int64_t>> lists{{0}, {-70000, 5}, {1, 65537, 131073}};
      for (const auto& list : lists) {
        for (int degree = 0; degree <= correlation::kMaxDegree; ++degree) {
          std::vector<int64_t> coefficients((list.size() + 1) * (degree + 1), 1);
          expect_cost(e, cost::piecewise(n, parties, list, degree),
                      [&] { e.piecewise(x, {list, degree, {{0, coefficients}}}); });
        }
      }
      const Series series{{50, 3, true}, {{54, 0, {1, 1, 1}, {1, 1, 1}}}};
      expect_cost(e, cost::series(n, parties, 3), [&] { e.series(x, series); });
      expect_cost(e, cost::power_of_two(n, parties, 8),
                  [&] { e.power_of_two(x, {{54, 57, 3, 22}, -5, 3, 44, 0}); });
      expect_cost(e, cost::is_zero(n, parties), [&] { e.is_zero(x); });
      expect_cost(e, cost::choose(n, parties),
                  [&] { e.choose(shared(e, draw({n}, 1, 1), 0), x, 3); });
      expect_cost(e, cost::tournament(n, parties),
                  [&] { e.tournament(shared(e, draw({4, n}, 1, 40))); });
      for (const int64_t size : {1, 9, 1000}) {
        const auto declared = cost::one_hot(n, parties, size);
        expect_cost(e, e.rank() == parties - 1 ? declared.last : declared.others,
                    [&] { e.one_hot(shared(e, draw({n}, 1, 1).abs(), 0), size); });
      }
    }
  });
}

TEST_P(Costs, Reveals) {
  run(GetParam(), [](Engine& e) {
    const int parties = e.parties();
    for (const int64_t n : kSizes) {
      const Secret x = shared(e, draw({n}, 1, 40));
      expect_cost(e, cost::reveal(n, parties), [&] { e.reveal(x, {}); });
      for (int dst = 0; dst < parties; ++dst) {
        Cost one = cost::reveal(n, 2);
        if (e.rank() == dst) one.bytes_sent = 0;
        expect_cost(e, one, [&] { e.reveal(x, dst); });
      }
      const Secret owned = operand(e, draw({n}, 1, 40), 16, Holder::last);
      Cost all = cost::reveal(n, parties);
      if (e.rank() != owned.owner()) all.bytes_sent = 0;
      expect_cost(e, all, [&] { e.reveal(owned, {}); });
      expect_cost(e, {}, [&] { e.reveal(owned, owned.owner()); });
      expect_cost(e, {}, [&] { e.reveal(operand(e, draw({n}, 1), 16, Holder::everyone), {}); });
    }
  });
}

TEST_P(Costs, LocalOperationsAreFree) {
  run(GetParam(), [](Engine& e) {
    const Secret x = shared(e, draw({4, 4}, 1, 20)), p = e.encode_public(at::ones({4, 4}));
    const Secret owned = operand(e, draw({4, 4}, 1, 20), 16, Holder::first);
    expect_cost(e, {}, [&] {
      e.share(owned);
      e.add(x, owned);
      e.subtract(x, p);
      e.scale(x, 0.5);
      e.sum(x, {0}, false);
      e.cumulative_sum(x, 0);
      e.product(kMatmul, x, p);
      e.product(kMatmul, owned, owned);
      e.square(owned);
      e.relu(owned);
      e.at_least_zero(p);
      e.settle(e.product(kMatmul, owned, p));
      e.write(x, owned);
    });
  });
}

TEST(Cost, MatchesTheDesignPerElement) {
  const uint64_t n = 1 << 20, bit = n / 8;
  EXPECT_EQ(cost::relu(n, 2, 16), (Cost{4, 49 * n / 4, 72 * n + bit}));
  EXPECT_EQ(cost::relu(n, 3, 16), (Cost{4, 49 * n / 2, 72 * n + bit}));
  EXPECT_EQ(cost::relu(n, 2, 0), (Cost{4, 49 * n / 4, 60 * n + bit}));
  EXPECT_EQ(cost::at_least_zero(n, 2), (Cost{4, 49 * n / 4, 52 * n + bit}));
  EXPECT_EQ(cost::truncate(Truncation::local, n, 2, 16), Cost{});
  EXPECT_EQ(cost::truncate(Truncation::one_bit, n, 2, 16), (Cost{1, bit, 2 * n}));
  EXPECT_EQ(cost::truncate(Truncation::interactive, n, 2, 16), (Cost{1, 8 * n, 10 * n}));
  EXPECT_EQ(cost::truncate(Truncation::exact, n, 2, 16).rounds, 3u);
  EXPECT_EQ(cost::truncate(Truncation::exact, n, 2, 17).rounds, 6u);
  EXPECT_EQ(cost::product(n, n, n, 2), (Cost{1, 16 * n, 8 * n}));
  EXPECT_EQ(cost::square(n, 2), (Cost{1, 8 * n, 8 * n}));
  EXPECT_EQ(cost::reveal(n, 2), (Cost{1, 8 * n, 0}));
  // One threshold that borrows nothing is a comparison.
  EXPECT_EQ(cost::piecewise(n, 3, {0}, 1), cost::relu(n, 3, 0));
  EXPECT_EQ(cost::piecewise(n, 2, {0}, 0), cost::at_least_zero(n, 2));
  EXPECT_EQ(cost::series(n, 2, 6), (Cost{1, 8 * n, 96 * n}));
  EXPECT_EQ(cost::power_of_two(n, 3, 8), (Cost{1, 16 * n, 64 * n}));
  EXPECT_EQ(cost::is_zero(n, 2), (Cost{3, 8 * n + 19 * n / 8, 96 * n + 109 * n / 8}));
  EXPECT_EQ(cost::one_hot(n, 3, 9).last, (Cost{1, 16 * n, 128 * n}));
  EXPECT_EQ(cost::one_hot(n, 2, 1024).last, (Cost{1, (8 + 160) * n, 176 * n}));
  EXPECT_EQ(cost::one_hot(n, 2, 1024).others, (Cost{1, 8 * n, 176 * n}));
  EXPECT_EQ(cost::tournament(n, 2).bytes_sent, 6 * cost::at_least_zero(n, 2).bytes_sent);
}

// The statistics against what really went over the wire.
TEST(Cost, StatisticsCountWhatIsSent) {
  for (const int parties : {2, 3}) {
    net::MemoryHub hub(parties);
    const auto thrown = in_threads(hub, parties, [&](int rank) {
      const auto trace = std::make_shared<net::TraceTransport>(hub.transport(rank));
      additive::AdditiveEngine e(trace, config_of({parties}));
      trace->clear();
      e.statistics().reset();
      const Secret x = shared(e, draw({70}, 1, 30));
      const Secret w = operand(e, draw({70}, 2, 9), 16, Holder::last);
      const Cost cost = cost_of(e, [&] { e.reveal(e.relu(e.product(kMultiply, x, w)), {}); });
      uint64_t bytes = 0, messages = 0;
      for (const auto& sent : trace->frames()) {
        if (sent.lane != net::kPartyLane) continue;
        bytes += sent.frame.size() - net::kHeaderBytes;
        ++messages;
      }
      EXPECT_EQ(cost.bytes_sent, bytes);
      uint64_t counted = 0;
      for (const auto& [name, cost] : e.statistics().operations()) counted += cost.messages;
      EXPECT_EQ(counted, messages);
      e.shutdown();
    });
    for (const auto& error : thrown) {
      if (error) std::rethrow_exception(error);
    }
  }
}

}  // namespace
}  // namespace cryptensor::protocol
