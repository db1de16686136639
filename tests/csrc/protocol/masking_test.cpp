// SPDX-License-Identifier: MIT
// An opening belongs to one value: it is used again while the value stays, and never afterwards.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "core/errors.h"
#include "net/decorators.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

class Maskings : public testing::TestWithParam<Settings> {};
INSTANTIATE_TEST_SUITE_P(Sessions, Maskings, testing::ValuesIn(all_settings()),
                         [](const auto& info) {
                           return std::to_string(info.param.parties) + "_" +
                                  (info.param.third_party ? "third_party" : "first_party");
                         });

uint64_t bytes_of(Engine& e, const std::function<void()>& work) {
  return cost_of(e, work).bytes_sent;
}

TEST_P(Maskings, AWeightIsOpenedOnce) {
  run(GetParam(), [](Engine& e) {
    const uint64_t peers = e.parties() - 1;
    const Secret w = shared(e, draw({7, 3}, 1, 20));
    w.store()->reused = true;
    const auto multiply = [&] { e.product(kMatmul, shared(e, draw({5, 7}, 2, 20)), w); };
    EXPECT_EQ(cost_of(e, multiply).bytes_sent, cost::product(35, 21, 15, e.parties()).bytes_sent);
    for (int pass = 0; pass < 3; ++pass) EXPECT_EQ(bytes_of(e, multiply), 8 * 35 * peers);
    EXPECT_EQ(bytes_of(e,
                       [&] {
                         e.product(kMatmul, w.rearranged(w.share().t()),
                                   shared(e, draw({7, 2}, 3, 20)));
                       }),
              8 * 14 * peers)
        << "a view of the weight";
  });
}

TEST_P(Maskings, AnActivationIsOpenedOnceForAllItTakesPartIn) {
  run(GetParam(), [](Engine& e) {
    const uint64_t peers = e.parties() - 1;
    const Secret x = shared(e, draw({5, 5}, 1, 20)), w = shared(e, draw({5, 5}, 2, 20));
    EXPECT_EQ(bytes_of(e, [&] { e.product(kMatmul, x, w); }), 8 * 50 * peers);
    const Cost again = cost_of(e, [&] {
      e.product(kMatmul, w, x);
      e.product(kMultiply, x, w);
      e.square(x);
      e.product(kMultiply, x.rearranged(x.share().t()), x);
    });
    EXPECT_EQ(again.rounds, 0u);
    EXPECT_EQ(again.bytes_sent, 0u);
    EXPECT_EQ(bytes_of(e, [&] { e.product(kMatmul, x, shared(e, draw({5, 2}, 3, 20))); }),
              8 * 10 * peers);
  });
}

TEST_P(Maskings, ASliceOfAWeightOpensTheWholeAndOthersOnlyThemselves) {
  run(GetParam(), [](Engine& e) {
    const uint64_t peers = e.parties() - 1;
    const Secret w = shared(e, draw({6, 4}, 1, 20)), plain = shared(e, draw({6, 4}, 1, 20));
    w.store()->reused = true;
    const auto with_rows = [&](const Secret& s, int64_t from, int64_t to) {
      return bytes_of(e, [&] {
        e.product(kMultiply, shared(e, draw({to - from, 4}, 2, 20)),
                  s.rearranged(s.share().slice(0, from, to)));
      });
    };
    EXPECT_EQ(with_rows(w, 0, 2), 8 * (24 + 8) * peers);
    EXPECT_EQ(with_rows(w, 2, 6), 8 * 16 * peers);
    EXPECT_EQ(with_rows(plain, 0, 2), 8 * (8 + 8) * peers);
    EXPECT_EQ(with_rows(plain, 0, 2), 8 * (8 + 8) * peers);
    EXPECT_FALSE(plain.store()->opening);
  });
}

TEST_P(Maskings, WriteDropsTheOpening) {
  const at::Tensor old_value = draw({4, 3}, 1, 20), new_value = draw({4, 3}, 2, 20);
  expect_conforms(GetParam(), [&](Engine& e) {
    const Secret w = shared(e, old_value, 16, 10), x = shared(e, draw({2, 4}, 3, 20), 16, 20);
    w.store()->reused = true;
    Secrets out{e.product(kMatmul, x, w)};
    const auto first = w.store()->opening;
    const uint64_t version = w.version();
    e.write(w, shared(e, new_value, 16, 30));
    EXPECT_FALSE(w.store()->opening);
    EXPECT_EQ(w.version(), version + 1);
    out.push_back(e.product(kMatmul, x, w));
    if (e.parties() == 1) return out;
    const auto second = w.store()->opening;
    EXPECT_NE(first->mask, second->mask);
    // Under one mask the difference of the openings would be that of the values.
    const at::Tensor shown = second->masked - first->masked == new_value - old_value;
    EXPECT_EQ(shown.sum().item<int64_t>(), 0);
    return out;
  });
}

TEST_P(Maskings, AWrittenWeightCostsItsOpeningAgain) {
  run(GetParam(), [](Engine& e) {
    const uint64_t peers = e.parties() - 1;
    const Secret w = shared(e, draw({7, 3}, 1, 20));
    w.store()->reused = true;
    const auto multiply = [&] { e.product(kMatmul, shared(e, draw({5, 7}, 2, 20)), w); };
    multiply();
    EXPECT_EQ(bytes_of(e, multiply), 8 * 35 * peers);
    e.write(w.rearranged(w.share()[2]), shared(e, draw({3}, 5, 20)));
    EXPECT_EQ(bytes_of(e, multiply), 8 * (35 + 21) * peers) << "after one row has changed";
    EXPECT_EQ(bytes_of(e, multiply), 8 * 35 * peers);
  });
}

TEST_P(Maskings, WritesOfEveryKindOfOperand) {
  const at::Tensor a = draw({4, 3}, 1, 20), b = draw({4, 3}, 2, 20), row = draw({3}, 3, 20);
  Settings settings = GetParam();
  settings.truncation = Truncation::exact;
  expect_conforms(settings, [&](Engine& e) {
    Secrets out;
    for (const Holder to : kHolders) {
      for (const Holder from : kHolders) {
        const Secret whole = operand(e, a, 16, to, 10), part = operand(e, a, 16, to, 20);
        const Secret pending = operand(e, a, 16, to, 30), spread = operand(e, a, 16, to, 40);
        for (const Secret& s : {whole, part, pending, spread}) {
          e.product(kMultiply, s, shared(e, b, 16, 50));  // opened, where it can be
        }
        e.write(whole, operand(e, b, 32, from, 60));
        e.write(part.rearranged(part.share().slice(1, 0, 2)),
                operand(e, b.slice(1, 1), 16, from, 70));
        e.write(pending.rearranged(pending.share()[1]), operand(e, row, 32, from, 80));
        e.write(spread.rearranged(spread.share().slice(0, 1)), operand(e, row, 0, from, 90));
        for (const Secret& s : {whole, part, pending, spread}) {
          out.push_back(s);
          out.push_back(e.product(kMultiply, e.settle(s), shared(e, b, 16, 50)));
        }
      }
    }
    return out;
  });
}

TEST_P(Maskings, APartWithMoreFractionBitsIsNotRounded) {
  const at::Tensor bits = draw({6}, 1, 0), fractions = draw({3}, 2, 18);
  expect_conforms(GetParam(), [&](Engine& e) {
    const Secret whole = operand(e, bits, 0, Holder::shared, 10);
    e.write(whole.rearranged(whole.share().slice(0, 0, 3)),
            operand(e, fractions, 16, Holder::shared, 20));
    return Secrets{whole};
  });
}

// A long random program: no mask may ever hide two values.
TEST_P(Maskings, NoMaskIsUsedForTwoValues) {
  run(GetParam(), [](Engine& e) {
    std::mt19937_64 random(5);  // the same at every party
    Secrets pool;
    for (int i = 0; i < 4; ++i) pool.push_back(shared(e, draw({3, 3}, 10 * i, 10), 16, 100 * i));
    pool.push_back(operand(e, draw({3, 3}, 50, 10), 16, Holder::first));
    pool.push_back(operand(e, draw({3, 3}, 60, 10), 16, Holder::last));
    pool[0].store()->reused = pool[4].store()->reused = true;
    std::map<uint64_t, at::Tensor> opened;  // by the mask's serial
    for (int i = 0; i < 300; ++i) {
      const Secret &a = pool[random() % 6], &b = pool[random() % 6];
      switch (random() % 5) {
        case 0:
          e.product(kMultiply, a, b);
          break;
        case 1:
          e.product(kMatmul, a.rearranged(a.share().t()), b);
          break;
        case 2:
          e.square(a);
          break;
        case 3:
          e.write(a, shared(e, draw({3, 3}, i, 10), 16, i));
          break;
        case 4:
          e.write(a.rearranged(a.share()[1]), b.rearranged(b.share()[2]));
          break;
      }
      for (const Secret& s : pool) {
        const auto& opening = s.store()->opening;
        if (!opening || !opening->masked.defined()) continue;
        const auto [at, fresh] = opened.emplace(opening->mask.serial, opening->masked.clone());
        if (!fresh) {
          EXPECT_TRUE(at::equal(at->second, opening->masked)) << "step " << i;
        }
      }
    }
    EXPECT_GT(opened.size(), 20u);
  });
}

// On the wire: what opens equal values a second time has nothing in common with the first.
TEST(Masking, EveryOpeningIsFresh) {
  for (const int parties : {2, 3}) {
    net::MemoryHub hub(parties);
    const auto thrown = in_threads(hub, parties, [&](int rank) {
      const auto trace = std::make_shared<net::TraceTransport>(hub.transport(rank));
      additive::AdditiveEngine e(trace, config_of({parties}));
      const at::Tensor value = draw({4, 16}, 1, 20);
      std::map<uint64_t, int> words;
      for (int i = 0; i < 20; ++i) {
        const Secret x = shared(e, value, 32), w = operand(e, value, 16, Holder::first);
        trace->clear();
        const Secret rows = x.rearranged(x.share().slice(0, 1));  // opened as a copy, every time
        e.square(rows);
        e.product(kMultiply, rows, w.rearranged(w.share().slice(0, 1)));
        e.truncate(x, 16, Truncation::interactive);
        e.relu(x);
        e.reveal(shared(e, value, 16), {});  // the same shares every time
        std::map<uint64_t, int> here;
        for (const auto& sent : trace->frames()) {
          const size_t n = (sent.frame.size() - net::kHeaderBytes) / 8;
          for (size_t k = 0; k < n; ++k) {
            uint64_t word;
            std::memcpy(&word, sent.frame.data() + net::kHeaderBytes + 8 * k, 8);
            here[word] = 1;  // several receivers get the same
          }
        }
        for (const auto& [word, seen] : here) words[word] += seen;
      }
      for (const auto& [word, seen] : words) EXPECT_EQ(seen, 1) << "party " << rank;
      EXPECT_GT(words.size(), 20u * 200);
      e.shutdown();
    });
    for (const auto& error : thrown) {
      if (error) std::rethrow_exception(error);
    }
  }
}

}  // namespace
}  // namespace cryptensor::protocol
