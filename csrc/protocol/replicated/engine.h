// SPDX-License-Identifier: MIT
// The engine of three parties, none of which colludes with another, without a dealer.
//
// Values are additive shares, as in the additive engine. A product needs two of the three shares at
// each party: Araki et al., "High-Throughput Semi-Honest Secure Three-Party Computation with an
// Honest Majority" (CCS 2016). A value is replicated when it first meets a product, by 8 bytes an
// element in one round, and stays so; a product is local then, and gives additive shares again.
//
// All else is between parties 0 and 1, by the protocols of the additive engine, and party 2 is
// their dealer: four rounds and 12 bytes for a ReLU, where boolean shares among three take a round
// for each level of an adder. The dealer's work runs beside that of the two, and its program never
// waits for them. A value of the two (kPair) has a third share that is zero.
//
// Why nobody learns anything. (1) A share that is sent for replication has a fresh zero share
// added, drawn by pairs of parties, of which the receiver knows one half at most: it is uniform
// given all that the receiver has. So is what party 2 hands to party 0 of a product. (2) Parties 0
// and 1 then see what is opened under masks that party 2 has dealt and of which each knows its own
// part. (3) As the dealer, party 2 receives requests alone, which the program's shapes determine.
// (4) A reveal adds a zero share, too. Two parties that put together what they have see everything.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "crypto/prg.h"
#include "protocol/additive/engine.h"
#include "protocol/additive/exchange.h"
#include "protocol/additive/links.h"
#include "protocol/replicated/third_party.h"

namespace cryptensor::protocol::replicated {

constexpr int kParties = 3;
constexpr int kThird = 2;  // deals to the others

struct ReplicatedConfig : EngineConfig {
  int parties = kParties;
  std::chrono::milliseconds timeout{30000};
};

// The two-party protocols alone, without what an engine does around them.
class PairEngine final : public additive::AdditiveEngine {
 public:
  using AdditiveEngine::AdditiveEngine;
  using AdditiveEngine::links;
  using AdditiveEngine::shared_at_least_zero;
  using AdditiveEngine::shared_choose;
  using AdditiveEngine::shared_is_zero;
  using AdditiveEngine::shared_one_hot;
  using AdditiveEngine::shared_piecewise;
  using AdditiveEngine::shared_power_of_two;
  using AdditiveEngine::shared_relu;
  using AdditiveEngine::shared_series;
  using AdditiveEngine::shared_tournament;
  using AdditiveEngine::shared_truncate;
};

class ReplicatedEngine final : public Engine {
 public:
  // Shakes hands with all others. ConfigError on every party when their settings differ.
  ReplicatedEngine(std::shared_ptr<net::Transport> transport, const ReplicatedConfig& config);
  ~ReplicatedEngine() override;

  int rank() const override { return links_.rank(); }
  int parties() const override { return kParties; }
  int sharers() const override { return 2; }
  const char* provider() const override { return "none"; }

  std::vector<Secret> input(const std::vector<Input>& inputs, int src) override;
  Secret share(const Secret& x) override;
  void synchronize(size_t bytes) override;
  void shutdown() override;
  void abort() override { links_.channel().abort(); }

 protected:
  at::Tensor opened(const Secret& a, std::optional<int> dst) override;
  Secret shared_product(const ring::BilinearMap& map, const Secret& a, const Secret& b) override;
  Secret shared_square(const Secret& a) override;
  std::vector<Secret> shared_truncate(const std::vector<Cut>& cuts, Truncation kind) override;
  Secret shared_relu(const Secret& a, int shift, std::optional<Secret>* sign,
                     std::optional<int> bits_known) override;
  Secret shared_at_least_zero(const Secret& a) override;
  std::vector<Secret> shared_piecewise(const Secret& a, const Piecewise& form) override;
  std::vector<Secret> shared_series(const Secret& a, const Series& form) override;
  std::pair<Secret, Secret> shared_power_of_two(const Secret& a, const PowerOfTwo& form) override;
  Secret shared_is_zero(const Secret& a) override;
  Secret shared_one_hot(const Secret& index, int64_t size) override;
  Choice shared_choose(const Secret& index, const Secret& candidates, int64_t target) override;
  Tournament shared_tournament(const Secret& a) override;

 private:
  struct Costs : CostSource {
    explicit Costs(const ReplicatedEngine& engine) : engine(engine) {}
    OperationCost total() const override;
    const ReplicatedEngine& engine;
  };

  // A value on its way to being replicated: cached already, or arriving by an exchange.
  struct Replication;
  Replication prepare(additive::Exchange& exchange, const Secret& x);
  void complete(const additive::Exchange& exchange, Replication& replication) const;
  at::Tensor product_of(const ring::BilinearMap& map, additive::Exchange& exchange,
                        Replication& left, Replication& right) const;
  Replica fresh_shares(const at::Tensor& value, int owner);

  // What party `peer` and this one draw alike, and nobody else.
  at::Tensor draw(int peer, uint64_t stream, at::IntArrayRef sizes) const;
  // This party's part of a zero among some parties. All call it: streams are counted alike.
  at::Tensor zero_share(at::IntArrayRef sizes, additive::PartySet among);

  // The values as shares of parties 0 and 1 alone, for their protocols: one message from party 2
  // for all that are neither replicated nor of the pair.
  std::vector<Secret> paired(const std::vector<Secret>& values);
  Secret paired(const Secret& value) { return paired(std::vector<Secret>{value})[0]; }
  // Party 2's part of what the pair computes.
  Secret nothing(at::IntArrayRef sizes, int fraction_bits) const {
    return Secret(zeros_like_share(sizes), fraction_bits, kPair);
  }

  std::shared_ptr<net::Transport> transport_;
  additive::Links links_;
  Costs costs_{*this};
  std::array<std::unique_ptr<crypto::Prg>, kParties> prgs_;  // one with each other party
  uint64_t draws_ = 0;
  std::unique_ptr<PairEngine> pair_;    // at parties 0 and 1
  std::unique_ptr<ThirdParty> dealer_;  // at party 2
  bool running_ = true;
};

}  // namespace cryptensor::protocol::replicated
