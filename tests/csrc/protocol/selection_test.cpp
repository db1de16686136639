// SPDX-License-Identifier: MIT
// Choices: equality with zero, one-hots of secret indices, the first maximum of four.
#include <gtest/gtest.h>

#include <limits>

#include "core/errors.h"
#include "net/decorators.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

class Selections : public testing::TestWithParam<Settings> {};
INSTANTIATE_TEST_SUITE_P(Sessions, Selections, testing::ValuesIn(all_settings()),
                         [](const auto& info) {
                           return std::to_string(info.param.parties) + "_" +
                                  (info.param.third_party ? "third_party" : "first_party");
                         });

at::Tensor of(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

TEST_P(Selections, ZeroIsToldFromEverySingleBit) {
  expect_conforms(GetParam(), [](Engine& e) {
    std::vector<int64_t> values{0, -1, std::numeric_limits<int64_t>::min()};
    for (int bit = 0; bit < 63; ++bit) {
      values.insert(values.end(), {int64_t{1} << bit, -(int64_t{1} << bit), 0});
    }
    Secrets out;
    for (const Holder holder : kHolders) {
      out.push_back(e.is_zero(operand(e, of(values), 16, holder)));
    }
    for (const int64_t n : {0, 1, 63, 64, 65, 511, 512, 513, 1100}) {
      out.push_back(e.is_zero(shared(e, draw({n}, n, 2))));  // about a quarter are zero
    }
    out.push_back(e.is_zero(shared(e, of(values).reshape({-1, 3}).t())));
    return out;
  });
}

TEST_P(Selections, OneHotsOfEveryIndex) {
  expect_conforms(GetParam(), [](Engine& e) {
    Secrets out;
    for (const int64_t size : {1, 2, 7, 8, 9, 1000, 1024, 1025}) {
      out.push_back(e.one_hot(shared(e, at::arange(size, at::kLong), 0), size));
    }
    for (const int64_t n : {0, 1, 63, 64, 65}) {
      for (const int64_t size : {3, 1000}) {
        const at::Tensor index = at::remainder(draw({n}, n, 40), size);
        out.push_back(e.one_hot(shared(e, index, 0), size));
        EXPECT_EQ(out.back().fraction_bits(), 0);
        EXPECT_EQ(out.back().sizes(), at::IntArrayRef({n, size}));
      }
    }
    for (const Holder holder : kHolders) {
      out.push_back(e.one_hot(operand(e, of({3, 0, 6, 6}).reshape({2, 2}), 0, holder), 7));
    }
    return out;
  });
}

TEST(Selection, AnIndexIsAnIntegerAndHasEntries) {
  run({}, [](Engine& e) {
    EXPECT_THROW(e.one_hot(shared(e, of({1})), 3), ConfigError);
    for (const int64_t size : {int64_t{0}, int64_t{-1}, (int64_t{1} << 30) + 1}) {
      EXPECT_THROW(e.one_hot(shared(e, of({1}), 0), size), ConfigError);
    }
    EXPECT_THROW(e.tournament(shared(e, of({1, 2, 3}))), ShapeError);
    EXPECT_THROW(e.tournament(shared(e, at::scalar_tensor(1, at::kLong))), ShapeError);
  });
}

Secrets flattened(Tournament t) {
  Secrets out{std::move(t.largest)};
  for (Secret& win : t.wins) out.push_back(std::move(win));
  return out;
}

Secrets flattened(Choice c) { return {std::move(c.chosen), std::move(c.value)}; }

TEST_P(Selections, ChoicesByEveryIndex) {
  expect_conforms(GetParam(), [](Engine& e) {
    Secrets out;
    for (const int64_t n : {0, 1, 15, 64, 1023, 1024, 1025, 2100}) {
      const at::Tensor index = at::remainder(at::arange(n, at::kLong), Engine::kMostChoices);
      const at::Tensor values = draw({n}, n, 64);
      for (const int64_t target : {0, 7, 15}) {
        for (Secret& s : flattened(e.choose(shared(e, index, 0), shared(e, values, 32), target)))
          out.push_back(s);
      }
    }
    const at::Tensor index = of({3, 0, 6, 6}).reshape({2, 2});
    for (const Holder holder : kHolders) {
      for (const Holder other : kHolders) {
        const Secret values = operand(e, draw({2, 2}, 1, 62), 16, other, 10);
        for (Secret& s : flattened(e.choose(operand(e, index, 0, holder), values, 6)))
          out.push_back(s);
      }
    }
    return out;
  });
}

TEST(Selection, AChoiceHasOneIndexForEachCandidate) {
  run({}, [](Engine& e) {
    const Secret index = shared(e, of({1, 2}), 0), values = shared(e, of({1, 2}));
    EXPECT_THROW(e.choose(values, values, 1), ConfigError);
    EXPECT_THROW(e.choose(index, shared(e, of({1, 2, 3})), 1), ShapeError);
    for (const int64_t target : {int64_t{-1}, Engine::kMostChoices}) {
      EXPECT_THROW(e.choose(index, values, target), ConfigError);
    }
  });
}

// All orderings of four values with ties, each once: 3^4 columns of {0, 1, 2}.
at::Tensor orderings() {
  std::vector<int64_t> values;
  for (int candidate = 0; candidate < 4; ++candidate) {
    for (int k = 0; k < 81; ++k) {
      int digit = k;
      for (int i = 0; i < candidate; ++i) digit /= 3;
      values.push_back(digit % 3);
    }
  }
  return of(values).reshape({4, 81});
}

TEST_P(Selections, TheFirstMaximumOfFourForEveryPatternOfTies) {
  expect_conforms(GetParam(), [](Engine& e) {
    Secrets out;
    const at::Tensor all = orderings();
    for (const int64_t scale : {int64_t{1}, int64_t{-1}, int64_t{1} << 40, int64_t{1} << 61}) {
      for (Secret& s : flattened(e.tournament(shared(e, all * scale - scale)))) out.push_back(s);
    }
    for (const Holder holder : kHolders) {
      for (Secret& s : flattened(e.tournament(operand(e, all, 16, holder)))) out.push_back(s);
    }
    return out;
  });
}

TEST_P(Selections, TournamentsOfEveryNumberOfGroups) {
  expect_conforms(GetParam(), [](Engine& e) {
    Secrets out;
    for (const int64_t groups : {0, 1, 63, 64, 65, 170, 171, 513}) {
      // Few values, so that ties are everywhere; then any at all.
      for (const int bits : {2, 62}) {
        const Secret x = shared(e, draw({4, groups}, groups + bits, bits));
        for (Secret& s : flattened(e.tournament(x))) out.push_back(s);
      }
    }
    const Secret shaped = shared(e, draw({4, 2, 3, 5}, 1, 3), 32);
    for (Secret& s : flattened(e.tournament(shaped))) out.push_back(s);
    return out;
  });
}

// The values that a program gives where `tamper` changes the dealer's corrections.
Outcome with_corrections(const Program& program, const std::function<void(net::Bytes&)>& tamper) {
  const Settings settings{2, true};
  net::MemoryHub hub(3);
  std::vector<Secrets> shares(2);
  const auto fault = [&](int, int lane, std::shared_ptr<const net::Bytes> frame) {
    if (lane != net::kCorrectionLane) return net::FaultTransport::Frames{frame};
    const auto changed = std::const_pointer_cast<net::Bytes>(net::resized(*frame, frame->size()));
    tamper(*changed);
    return net::FaultTransport::Frames{changed};
  };
  const auto thrown = in_threads(hub, 3, [&](int rank) {
    if (rank == 2) {
      additive::serve_dealer(std::make_shared<net::FaultTransport>(hub.transport(rank), fault), 2,
                             std::chrono::seconds(20));
      return;
    }
    additive::AdditiveEngine engine(hub.transport(rank), config_of(settings));
    shares[rank] = program(engine);
    engine.shutdown();
  });
  for (const auto& error : thrown) {
    if (error) std::rethrow_exception(error);
  }
  Outcome out;
  for (size_t i = 0; i < shares[0].size(); ++i) {
    out.values.push_back(shares[0][i].share() + shares[1][i].share());
  }
  return out;
}

// One bit of each eighth of the corrections, so that every field is met.
TEST(Selection, FlippedCorrectionsAreNoticed) {
  const at::Tensor x = draw({4, 64}, 3, 50);
  const Program programs[] = {
      [&](Engine& e) { return flattened(e.tournament(shared(e, x))); },
      [&](Engine& e) { return Secrets{e.is_zero(shared(e, x))}; },
      [&](Engine& e) {
        const at::Tensor index = at::remainder(at::arange(x.numel(), at::kLong), 16);
        return flattened(e.choose(shared(e, index.reshape(x.sizes()), 0), shared(e, x), 3));
      },
      [&](Engine& e) { return Secrets{e.one_hot(shared(e, at::arange(64, at::kLong), 0), 64)}; },
      [&](Engine& e) { return Secrets{e.one_hot(shared(e, at::arange(64, at::kLong), 0), 1000)}; },
  };
  for (const Program& program : programs) {
    const Outcome clean = run_plaintext({}, program);
    const Outcome same = with_corrections(program, [](net::Bytes&) {});
    for (size_t i = 0; i < clean.values.size(); ++i) {
      ASSERT_TRUE(at::equal(clean.values[i], same.values[i]));
    }
    for (size_t part = 0; part < 8; ++part) {
      const Outcome wrong = with_corrections(program, [&](net::Bytes& frame) {
        const size_t payload = frame.size() - net::kHeaderBytes;
        uint8_t* from = frame.data() + net::kHeaderBytes + payload * part / 8;
        for (size_t i = 0; i < payload / 8; ++i) from[i] ^= 1;
      });
      bool differs = false;
      for (size_t i = 0; i < clean.values.size(); ++i) {
        differs |= !at::equal(clean.values[i], wrong.values[i]);
      }
      EXPECT_TRUE(differs) << "program " << &program - programs << ", part " << part;
    }
  }
}

}  // namespace
}  // namespace cryptensor::protocol
