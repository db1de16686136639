// SPDX-License-Identifier: MIT
// A session of additive engines, one thread each, and the oracle beside them.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/memory_transport.h"
#include "protocol/additive/engine.h"
#include "protocol/cost.h"
#include "protocol/plaintext/engine.h"

namespace cryptensor::protocol::testing_session {

using Secrets = std::vector<Secret>;
using Program = std::function<Secrets(Engine&)>;
using Sizes = std::vector<int64_t>;

struct Settings {
  int parties = 2;
  bool third_party = false;
  int precision = 16;
  std::optional<Truncation> truncation = {};
};

inline std::string text(const Settings& s) {
  return std::to_string(s.parties) + " parties, " + (s.third_party ? "third" : "first") + " party";
}

inline additive::AdditiveConfig config_of(const Settings& s) {
  additive::AdditiveConfig config;
  config.parties = s.parties;
  config.third_party = s.third_party;
  config.precision = s.precision;
  config.truncation = s.truncation;
  config.timeout = std::chrono::milliseconds(20000);
  return config;
}

// Runs work(rank) for every rank in a thread of its own. Entry i: what rank i threw.
inline std::vector<std::exception_ptr> in_threads(net::MemoryHub& hub, int ranks,
                                                  const std::function<void(int)>& work) {
  std::vector<std::exception_ptr> thrown(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);
      try {
        work(rank);
      } catch (...) {
        thrown[rank] = std::current_exception();
        hub.abort(rank);
      }
    });
  }
  for (auto& t : threads) t.join();
  return thrown;
}

// body(engine) at every party; the first error of a party is thrown here.
inline void run(const Settings& settings, const std::function<void(Engine&)>& body) {
  const int ranks = settings.parties + (settings.third_party ? 1 : 0);
  net::MemoryHub hub(ranks);
  const auto thrown = in_threads(hub, ranks, [&](int rank) {
    if (rank == settings.parties) {
      additive::serve_dealer(hub.transport(rank), settings.parties, std::chrono::seconds(20));
      return;
    }
    additive::AdditiveEngine engine(hub.transport(rank), config_of(settings));
    body(engine);
    engine.shutdown();
  });
  for (const auto& error : thrown) {
    if (error) std::rethrow_exception(error);
  }
}

// What a program of ring elements gives: values, and the fraction bits of each.
struct Outcome {
  std::vector<at::Tensor> values;
  std::vector<int> fraction_bits;
};

inline Outcome run_additive(const Settings& settings, const Program& program) {
  std::vector<Secrets> shares(settings.parties);
  run(settings, [&](Engine& e) { shares[e.rank()] = program(e); });
  Outcome out;
  for (size_t i = 0; i < shares[0].size(); ++i) {
    const Secret& first = shares[0][i];
    at::Tensor sum = first.share().clone();
    for (int p = 1; p < settings.parties; ++p) {
      const Secret& next = shares[p][i];
      EXPECT_EQ(next.owner(), first.owner());
      EXPECT_EQ(next.fraction_bits(), first.fraction_bits());
      // What one party owns is zero elsewhere, what is public the same everywhere.
      if (first.is_public()) {
        EXPECT_TRUE(at::equal(next.share(), first.share()));
      } else if (next.is_owned() && next.owner() != p) {
        EXPECT_EQ(at::count_nonzero(next.share()).item<int64_t>(), 0);
        continue;
      } else {
        sum = first.is_owned() ? next.share().clone() : sum + next.share();
      }
    }
    out.values.push_back(sum);
    out.fraction_bits.push_back(first.fraction_bits());
  }
  return out;
}

inline Outcome run_plaintext(const Settings& settings, const Program& program) {
  EngineConfig config;
  config.precision = settings.precision;
  config.truncation = settings.truncation;
  plaintext::PlaintextEngine engine(config);
  Outcome out;
  for (const Secret& s : program(engine)) {
    out.values.push_back(s.share());
    out.fraction_bits.push_back(s.fraction_bits());
  }
  return out;
}

// Deviation of a result from the oracle, in units of its last place.
struct Bound {
  int64_t low = 0, high = 0;
};

inline void expect_within(const Outcome& actual, const Outcome& oracle, Bound bound) {
  ASSERT_EQ(actual.values.size(), oracle.values.size());
  for (size_t i = 0; i < actual.values.size(); ++i) {
    SCOPED_TRACE("result " + std::to_string(i));
    ASSERT_EQ(actual.values[i].sizes(), oracle.values[i].sizes());
    ASSERT_EQ(actual.fraction_bits[i], oracle.fraction_bits[i]);
    if (actual.values[i].numel() == 0) continue;
    const at::Tensor difference = actual.values[i] - oracle.values[i];
    EXPECT_GE(difference.min().item<int64_t>(), bound.low);
    EXPECT_LE(difference.max().item<int64_t>(), bound.high);
  }
}

inline void expect_conforms(const Settings& settings, const Program& program, Bound bound = {}) {
  SCOPED_TRACE(text(settings));
  expect_within(run_additive(settings, program), run_plaintext(settings, program), bound);
}

// What `work` cost this party.
inline Cost cost_of(Engine& e, const std::function<void()>& work) {
  e.statistics().reset();
  work();
  Cost total;
  for (const auto& [name, cost] : e.statistics().operations()) {
    total.rounds += cost.rounds;
    total.bytes_sent += cost.bytes_sent;
    total.dealer_bytes += cost.dealer_bytes;
  }
  return total;
}

inline std::vector<Settings> all_settings() {
  std::vector<Settings> out;
  for (const int parties : {2, 3, 4}) {
    for (const bool third : {false, true}) out.push_back({parties, third});
  }
  return out;
}

// Random ring elements of a test: the same at every party.
inline at::Tensor draw(const Sizes& sizes, uint64_t seed, int bits = 64) {
  at::Tensor out = at::empty(sizes, at::kLong);
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < out.numel(); ++i) {
    const auto word = static_cast<int64_t>(random());
    out.data_ptr<int64_t>()[i] = bits > 0 ? word >> (64 - bits) : 0;
  }
  return out;
}

// The kinds of operand: known to the first or the last party, to nobody, to everyone.
enum class Holder { first, last, shared, everyone };
constexpr Holder kHolders[] = {Holder::first, Holder::last, Holder::shared, Holder::everyone};

// `value` as an operand of that kind. For a shared one all but party 0 hold random elements.
inline Secret operand(const Engine& e, const at::Tensor& value, int fraction_bits, Holder holder,
                      uint64_t seed = 1) {
  if (holder == Holder::everyone) return Secret(value.clone(), fraction_bits, kPublic);
  if (e.parties() == 1) return Secret(value.clone(), fraction_bits, kShared);
  if (holder != Holder::shared) {
    const int owner = holder == Holder::first ? 0 : e.parties() - 1;
    return Secret(e.rank() == owner ? value.clone() : at::zeros_like(value), fraction_bits, owner);
  }
  const Sizes sizes = value.sizes().vec();
  if (e.rank() != 0) return Secret(draw(sizes, seed + e.rank()), fraction_bits, kShared);
  at::Tensor rest = value.clone();
  for (int p = 1; p < e.parties(); ++p) rest = rest - draw(sizes, seed + p);
  return Secret(rest, fraction_bits, kShared);
}

inline Secret shared(const Engine& e, const at::Tensor& value, int fraction_bits = 16,
                     uint64_t seed = 1) {
  return operand(e, value, fraction_bits, Holder::shared, seed);
}

inline const ring::BilinearMap kMultiply{ring::Bilinear::multiply, {}};
inline const ring::BilinearMap kMatmul{ring::Bilinear::matmul, {}};
inline ring::BilinearMap convolution(Sizes stride, Sizes padding, Sizes dilation, int64_t groups) {
  return {ring::Bilinear::convolution,
          {std::move(stride), std::move(padding), std::move(dilation), groups}};
}

}  // namespace cryptensor::protocol::testing_session

namespace cryptensor::protocol {

inline std::ostream& operator<<(std::ostream& out, const Cost& cost) {
  return out << cost.rounds << " rounds, " << cost.bytes_sent << " bytes sent, "
             << cost.dealer_bytes << " bytes from the dealer";
}

}  // namespace cryptensor::protocol
