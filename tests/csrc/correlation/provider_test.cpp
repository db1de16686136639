// SPDX-License-Identifier: MIT
#include "correlation/provider.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "core/errors.h"
#include "correlation/dealing_memory.h"
#include "correlation/first_party.h"
#include "correlation/serving.h"
#include "correlation/third_party.h"
#include "dealt.h"
#include "net/memory_transport.h"

namespace cryptensor::correlation {
namespace {

using examples::all_kinds;
using examples::whole;
using examples::words;
using net::Channel;
using net::DType;
using net::Operation;

constexpr std::chrono::milliseconds kTimeout{20000};

// What one party got, in order; enough to add the parties' shares up.
struct Taken {
  uint64_t serial, digest;
  std::vector<uint64_t> product_share;  // of bilinear correlations
  bool corrected, in_blocks;
  Part part;
};

Taken take(Provider& provider, const Descriptor& d) {
  const Correlation c = provider.take(d);
  Taken out{c.serial, c.digest, {}, c.corrections != nullptr, d.in_blocks(), c.part};
  if (d.kind == Kind::bilinear) {
    out.product_share.resize(d.correction_bytes() / 8);
    if (c.corrections) {
      std::memcpy(out.product_share.data(), c.corrections.get(), d.correction_bytes());
    } else {
      c.prg.fill(kProductStream, 0, out.product_share.data(), d.correction_bytes());
    }
  }
  return out;
}

at::Tensor mask_share(const Provider& provider, const MaskName& mask) {
  at::Tensor out = at::empty({static_cast<int64_t>(mask.numel)}, at::kLong);
  provider.mask_prg(mask).fill(kMaskStream, 0, out.data_ptr(), 8 * mask.numel);
  return out;
}

// One step of a program: squares of a fresh mask of n elements, and a correlation for bits.
struct Step {
  std::vector<Taken> taken;
  at::Tensor mask;
};

Step step(Provider& provider, int parties, int64_t n) {
  const MaskName name = provider.take_mask(n, (1u << parties) - 1, false);
  const MaskView view = whole(name, {n});
  Step out{{}, mask_share(provider, name)};
  out.taken.push_back(take(provider, Descriptor::make_bilinear(examples::multiply(), view, view)));
  out.taken.push_back(take(provider, Descriptor::make_comparison(n, Comparison::sign, 0)));
  return out;
}

// The same correlations in the same order, and squares that add up. `spread`: every party corrects
// a part of what comes in blocks.
void expect_consistent(const std::vector<std::vector<Step>>& parties, bool spread = false) {
  for (size_t i = 0; i < parties[0].size(); ++i) {
    at::Tensor r = at::zeros_like(parties[0][i].mask);
    std::vector<uint64_t> square(r.numel());
    for (size_t p = 0; p < parties.size(); ++p) {
      ASSERT_EQ(parties[p].size(), parties[0].size());
      const Step &mine = parties[p][i], &first = parties[0][i];
      r = r + mine.mask;
      ASSERT_EQ(mine.taken.size(), first.taken.size());
      for (size_t k = 0; k < first.taken.size(); ++k) {
        EXPECT_EQ(mine.taken[k].serial, first.taken[k].serial);
        EXPECT_EQ(mine.taken[k].digest, first.taken[k].digest);
        const bool has_part = spread && first.taken[k].in_blocks;
        EXPECT_EQ(mine.taken[k].corrected, has_part || p + 1 == parties.size());
        EXPECT_EQ(mine.taken[k].part.first, has_part ? p : 0);
        EXPECT_EQ(mine.taken[k].part.step, has_part ? parties.size() : 1);
      }
      for (size_t k = 0; k < square.size(); ++k) square[k] += mine.taken[0].product_share[k];
    }
    ASSERT_EQ(square, words(r * r)) << "step " << i;
  }
}

TEST(FirstPartyProvider, TakesTheSameCorrelationsInTheSameOrder) {
  for (const int parties : {2, 3, 4}) {
    const examples::Session session(parties);
    std::vector<std::vector<Step>> steps;
    for (int p = 0; p < parties; ++p) {
      FirstPartyProvider provider(session.keys, p);
      EXPECT_EQ(provider.corrected(), p == parties - 1);
      steps.emplace_back();
      for (const int64_t n : {5, 1, 64, 5}) steps.back().push_back(step(provider, parties, n));
      const uint64_t bits = ComparisonLayout(5, Comparison::sign, 0).correction_bytes * 3 +
                            ComparisonLayout(64, Comparison::sign, 0).correction_bytes;
      EXPECT_EQ(provider.dealer_bytes(), p == parties - 1 ? 8 * (5 + 1 + 64 + 5) + bits : 0);
    }
    expect_consistent(steps, true);
  }
}

TEST(FirstPartyProvider, EveryKindHasItsDeclaredCorrections) {
  const examples::Session session(2);
  FirstPartyProvider provider(session.keys, 1);
  uint64_t serial = 0, bytes = 0;
  for (const Descriptor& d : all_kinds()) {
    const Correlation c = provider.take(d);
    EXPECT_EQ(c.serial, serial++);
    EXPECT_EQ(c.digest, d.digest());
    EXPECT_EQ(c.corrections != nullptr, d.correction_bytes() > 0);
    EXPECT_EQ(provider.dealer_bytes(), bytes += d.correction_bytes());
  }
}

// A session over memory: parties in threads, and a dealer in one more.
class ThirdParty : public testing::Test {
 protected:
  struct Traffic {
    uint64_t requests = 0, corrections = 0, dealer_bytes = 0;
  };

  template <class Program>
  std::vector<std::vector<Step>> run(int parties, const Program& program) {
    net::MemoryHub hub(parties + 1);
    std::vector<std::vector<Step>> steps(parties);
    std::vector<std::thread> threads;
    std::mutex mutex;
    const auto guarded = [&](int rank, const std::function<void()>& work) {
      threads.emplace_back([&, rank, work] {
        try {
          work();
        } catch (const std::exception& error) {
          hub.abort(rank);
          const std::lock_guard lock(mutex);
          errors_.push_back("rank " + std::to_string(rank) + ": " + error.what());
        }
      });
    };
    seeds_.assign(parties, {});
    for (int p = 0; p < parties; ++p) {
      guarded(p, [&, p] {
        Channel channel(hub.transport(p), 7, kTimeout);
        const net::Message seed =
            channel
                .receive(parties, net::kCorrectionLane, Operation::dealer_seed, DType::bytes, 16)
                ->wait();
        crypto::Key key;
        std::memcpy(key.bytes.data(), seed.data(), 16);
        seeds_[p] = key.bytes;
        ThirdPartyProvider provider(channel, key, p, parties);
        program(provider, steps[p]);
        if (p == parties - 1) {
          traffic_ = {channel.counters(net::kRequestLane).messages_sent,
                      channel.counters(net::kCorrectionLane).messages_received - 1,
                      provider.dealer_bytes()};
        }
        provider.finish();
        channel.flush();
        if (p == parties - 1) {
          // Less the seed and the last answer.
          received_in_all_ = channel.counters(net::kCorrectionLane).messages_received - 2;
        }
      });
    }
    guarded(parties, [&] {
      Channel channel(hub.transport(parties), 7, kTimeout);
      serve_dealer(channel, parties);
    });
    for (auto& t : threads) t.join();
    return steps;
  }

  std::vector<std::string> errors_;
  std::vector<std::array<uint8_t, 16>> seeds_;
  Traffic traffic_;
  uint64_t received_in_all_ = 0;
};

TEST_F(ThirdParty, DealsToTwoThreeAndFourParties) {
  for (const int parties : {2, 3, 4}) {
    const auto steps = run(parties, [&](Provider& provider, std::vector<Step>& out) {
      for (const int64_t n : {5, 1, 64, 5}) out.push_back(step(provider, parties, n));
    });
    EXPECT_EQ(errors_, std::vector<std::string>());
    expect_consistent(steps);
  }
}

TEST_F(ThirdParty, EveryPartyHasASeedOfItsOwn) {
  std::set<std::array<uint8_t, 16>> all{{}};  // nobody's seed is zero either
  for (int session = 0; session < 3; ++session) {
    run(3, [](Provider&, std::vector<Step>&) {});
    all.insert(seeds_.begin(), seeds_.end());
  }
  EXPECT_EQ(all.size(), 1u + 3 * 3);
}

TEST_F(ThirdParty, RunsAheadOfAPeriodicProgram) {
  constexpr int kPasses = 1000;
  const auto steps = run(2, [&](Provider& provider, std::vector<Step>& out) {
    for (int i = 0; i < kPasses; ++i) out.push_back(step(provider, 2, 3));
  });
  EXPECT_EQ(errors_, std::vector<std::string>());
  expect_consistent(steps);
  EXPECT_LT(traffic_.requests, 20u) << "2000 corrections in a few batches";
  EXPECT_EQ(traffic_.corrections, 2u * kPasses);
  EXPECT_EQ(traffic_.dealer_bytes,
            kPasses * (8 * 3 + ComparisonLayout(3, Comparison::sign, 0).correction_bytes));
  // What was asked for ahead and never used is bounded by the window.
  EXPECT_GT(received_in_all_, traffic_.corrections);
  EXPECT_LE(received_in_all_, traffic_.corrections + ThirdPartyProvider::kAheadCount);
}

TEST_F(ThirdParty, AGuessHasToBeEarned) {
  run(2, [&](Provider& provider, std::vector<Step>& out) {
    for (int i = 0; i < 2; ++i) out.push_back(step(provider, 2, 1000));
  });
  EXPECT_EQ(errors_, std::vector<std::string>());
  const uint64_t wasted = received_in_all_ - traffic_.corrections;
  EXPECT_LE(wasted, 2 * ThirdPartyProvider::kAheadOfForeseen)
      << "one step of two corrections was foreseen";
}

TEST_F(ThirdParty, WrongGuessesAreDiscarded) {
  // The period changes just when the dealer has run ahead, back and forth.
  const auto steps = run(3, [&](Provider& provider, std::vector<Step>& out) {
    for (int i = 0; i < 300; ++i) {
      const bool surprise = i % 37 == 36;
      out.push_back(step(provider, 3, surprise ? 4 + i % 5 : 3));
    }
  });
  EXPECT_EQ(errors_, std::vector<std::string>());
  expect_consistent(steps);
  EXPECT_GT(traffic_.corrections, 600u) << "some were dropped";
}

TEST_F(ThirdParty, ALargeCorrelationDoesNotRunAheadWithoutLimit) {
  // 100 MB each: at most two fit the window.
  const int64_t n = 2 * 1000 * 1000;
  const auto d = Descriptor::make_comparison(n, Comparison::sign, 0);
  run(2, [&](Provider& provider, std::vector<Step>&) {
    for (int i = 0; i < 4; ++i) take(provider, d);
  });
  EXPECT_EQ(errors_, std::vector<std::string>());
  EXPECT_LE((received_in_all_ - 4) * d.correction_bytes(), ThirdPartyProvider::kAheadBytes);
}

// The dealer of two parties against a client that sends `request` as it is.
void expect_refused(const std::vector<uint8_t>& request) {
  net::MemoryHub hub(3);
  Channel client(hub.transport(1), 0, kTimeout);
  const std::vector<uint8_t> end(4);
  for (const auto& bytes : {request, end}) {
    net::Message message(bytes.size());
    std::copy(bytes.begin(), bytes.end(), message.data());
    client.send(2, net::kRequestLane, Operation::dealer_request, DType::bytes, std::move(message));
  }
  Channel dealer(hub.transport(2), 0, kTimeout);
  EXPECT_THROW(serve_dealer(dealer, 2), ProtocolError) << testing::PrintToString(request);
}

// A dealer with `memory` in a thread; the parties are what the test makes of them.
class Served {
 public:
  explicit Served(size_t memory) {
    thread_ = std::thread([this, memory] {
      Channel channel(hub_.transport(2), 0, kTimeout);
      try {
        serve_dealer(channel, 2, memory);
      } catch (...) {
        error_ = std::current_exception();
        channel.abort();
      }
    });
  }
  ~Served() {
    hub_.abort(2);
    if (thread_.joinable()) thread_.join();
  }
  net::MemoryHub& hub() { return hub_; }
  void end() {
    thread_.join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  net::MemoryHub hub_{3};
  std::exception_ptr error_;
  std::thread thread_;
};

TEST(ServeDealer, EndsWhenAPartyIsLostThatItHearsNothingOf) {
  Served served(0);
  served.hub().abort(0);
  EXPECT_THROW(served.end(), PeerLost);
}

TEST(ServeDealer, RefusesRequestsOfOtherParties) {
  Served served(0);
  Channel other(served.hub().transport(0), 0, kTimeout);
  other.send(2, net::kRequestLane, Operation::dealer_request, DType::bytes, net::Message(4));
  EXPECT_THROW(served.end(), ProtocolError);
}

TEST(ServeDealer, RefusesWhatNeverFitsItsMemory) {
  for (const bool fits : {true, false}) {
    const auto d = Descriptor::make_comparison(100'000, Comparison::sign, 0);
    Served served(dealing_bytes(d) - (fits ? 0 : 1));
    Channel channel(served.hub().transport(1), 0, kTimeout);
    channel.receive(2, net::kCorrectionLane, Operation::dealer_seed, DType::bytes, 16)->wait();
    ThirdPartyProvider provider(channel, {}, 1, 2);
    if (fits) {
      for (int i = 0; i < 3; ++i) take(provider, d);
      provider.finish();
      served.end();
    } else {
      EXPECT_THROW(take(provider, d), PeerLost);
      EXPECT_THROW(served.end(), RangeError);
    }
  }
}

TEST(ServeDealer, TellsItsMemoryFromTheDescriptor) {
  for (const Descriptor& d : all_kinds()) {
    EXPECT_GE(dealing_bytes(d), d.correction_bytes());
    EXPECT_LT(dealing_bytes(d), size_t{1} << 30) << "small examples";
  }
  const auto largest = Descriptor::make_one_hot(uint64_t{1} << 20, 1024);
  EXPECT_GE(dealing_bytes(largest), uint64_t{8} << 30);
}

TEST(ServeDealer, RefusesMalformedRequests) {
  const auto request = [](uint32_t count, uint64_t serial, uint32_t length,
                          const std::vector<uint8_t>& body) {
    std::vector<uint8_t> out(16 + body.size());
    std::memcpy(out.data(), &count, 4);
    std::memcpy(out.data() + 4, &serial, 8);
    std::memcpy(out.data() + 12, &length, 4);
    std::copy(body.begin(), body.end(), out.begin() + 16);
    return out;
  };
  const auto wrap = Descriptor::make_wrap(3, 16).serialize();
  const auto size = static_cast<uint32_t>(wrap.size());
  expect_refused({});
  expect_refused({1, 0, 0});
  expect_refused({1, 0, 0, 0});
  expect_refused(request(2, 0, size, wrap));
  expect_refused(request(~0u, 0, size, wrap));
  expect_refused(request(1, 0, size - 1, wrap));
  expect_refused(request(1, 0, size + 1, wrap));
  expect_refused(request(1, 0, ~0u, wrap));
  expect_refused(request(1, 0, 0, {}));
  auto bad = wrap;
  bad[0] = 9;
  expect_refused(request(1, 0, size, bad));
  auto longer = request(1, 0, size, wrap);
  longer.push_back(0);
  expect_refused(longer);
}

}  // namespace
}  // namespace cryptensor::correlation
