// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "core/errors.h"
#include "protocol/replicated/engine.h"
#include "session.h"

namespace cryptensor::protocol::testing_session {
namespace {

using replicated::ReplicatedConfig;
using replicated::ReplicatedEngine;

ReplicatedConfig config(int precision = 16) {
  ReplicatedConfig out;
  out.precision = precision;
  out.timeout = std::chrono::seconds(20);
  return out;
}

std::vector<std::exception_ptr> meet(const std::vector<ReplicatedConfig>& configs,
                                     const std::function<void(Engine&)>& body) {
  net::MemoryHub hub(static_cast<int>(configs.size()));
  return in_threads(hub, static_cast<int>(configs.size()), [&](int rank) {
    ReplicatedEngine engine(hub.transport(rank), configs[rank]);
    body(engine);
    engine.shutdown();
  });
}

void run_replicated(const std::function<void(Engine&)>& body) {
  for (const auto& error : meet({config(), config(), config()}, body)) {
    if (error) std::rethrow_exception(error);
  }
}

// The sums of the shares of what the program gives, exactly; what is public has none.
void expect_exact(const Program& program) {
  std::vector<Secrets> shares(3);
  run_replicated([&](Engine& e) { shares[e.rank()] = program(e); });
  const Outcome oracle = run_plaintext({}, program);
  for (size_t i = 0; i < oracle.values.size(); ++i) {
    at::Tensor sum = shares[0][i].share();
    if (!shares[0][i].is_public()) sum = sum + shares[1][i].share() + shares[2][i].share();
    EXPECT_TRUE(at::equal(sum, oracle.values[i])) << "result " << i;
    EXPECT_EQ(shares[2][i].fraction_bits(), oracle.fraction_bits[i]);
    if (shares[0][i].owner() == kPair) {
      EXPECT_EQ(at::count_nonzero(shares[2][i].share()).item<int64_t>(), 0);
    }
  }
}

// As an operand of the pair where the engine has one.
Secret of_pair(Engine& e, const at::Tensor& value) {
  return e.share(operand(e, value, 16, Holder::first));
}

TEST(Replicated, ProductsAreExactForEveryKindOfOperand) {
  const at::Tensor a = draw({3, 4}, 11), b = draw({4, 5}, 12), c = draw({3, 4}, 13);
  expect_exact([&](Engine& e) {
    Secrets out;
    const auto kinds = [&](const at::Tensor& value) {
      Secrets made{shared(e, value), of_pair(e, value)};
      for (const Holder h : {Holder::first, Holder::last, Holder::everyone}) {
        made.push_back(operand(e, value, 16, h));
      }
      if (e.parties() == 1) return made;
      made[3] = Secret(e.rank() == 1 ? value.clone() : at::zeros_like(value), 16, 1);
      return made;
    };
    for (const Secret& x : kinds(a)) {
      for (const Secret& y : kinds(b)) out.push_back(e.product(kMatmul, x, y));
      for (const Secret& y : kinds(c)) out.push_back(e.product(kMultiply, x, y));
      out.push_back(e.square(x));
    }
    return out;
  });
}

TEST(Replicated, AValueIsReplicatedOnceAndAViewOfItIsNotSentAgain) {
  const at::Tensor value = draw({6, 4}, 3), other = draw({4, 6}, 4);
  const Program program = [&](Engine& e) {
    const Secret x = shared(e, value), y = shared(e, other, 16, 9);
    Secrets out{e.product(kMatmul, x, y)};
    const auto again = [&] {
      out.push_back(e.product(kMatmul, x.rearranged(x.share().narrow(0, 1, 3)), y));
      out.push_back(e.product(kMatmul, y.rearranged(y.share().t()).rearranged(y.share().t()),
                              x.rearranged(x.share().t())));
    };
    const Cost cost = cost_of(e, again);
    // A part of a value is not the value: what is sent of it alone is kept with nothing.
    const Cost of_part{1, 8 * 12, 0};
    if (e.parties() > 1) {
      EXPECT_EQ(cost, of_part);
    }
    return out;
  };
  expect_exact(program);
}

TEST(Replicated, AReplicaDiesWithTheValue) {
  const at::Tensor value = draw({8}, 5, 30), next = draw({4}, 6, 30);
  expect_exact([&](Engine& e) {
    const Secret x = shared(e, value), y = of_pair(e, next);
    Secrets out{e.square(x)};
    e.write(x.rearranged(x.share().narrow(0, 0, 4)), y);
    out.push_back(e.square(x));
    return out;
  });
}

TEST(Replicated, ATruncationFollowsAProductWithoutLargeErrors) {
  const at::Tensor value = draw({4096}, 7, 30), other = draw({4096}, 8, 30);
  std::vector<Secrets> shares(3);
  const Program program = [&](Engine& e) {
    const Secret z = e.product(kMultiply, shared(e, value), of_pair(e, other));
    return Secrets{e.settle(z), e.truncate(z, 16, Truncation::exact), e.at_least_zero(z)};
  };
  run_replicated([&](Engine& e) { shares[e.rank()] = program(e); });
  const Outcome oracle = run_plaintext({}, program);
  for (size_t i = 0; i < 3; ++i) {
    const at::Tensor off =
        shares[0][i].share() + shares[1][i].share() + shares[2][i].share() - oracle.values[i];
    EXPECT_GE(off.min().item<int64_t>(), 0);
    EXPECT_LE(off.max().item<int64_t>(), i == 0 ? 1 : 0);
  }
}

TEST(Replicated, DifferentSettingsAreAnErrorOfAll) {
  const auto fails = [](const std::vector<ReplicatedConfig>& configs) {
    for (const auto& error : meet(configs, [](Engine&) {})) {
      ASSERT_TRUE(error);
      EXPECT_THROW(std::rethrow_exception(error), ConfigError);
    }
  };
  fails({config(), config(20), config()});
  fails({config(), config()});
  fails({config(), config(), config(), config()});
}

}  // namespace
}  // namespace cryptensor::protocol::testing_session
