// SPDX-License-Identifier: MIT
// How a session begins and ends: handshake, seeds of pairs, the pair and its dealer, goodbye.
#include <fmt/format.h>

#include <cstring>

#include "core/buffer.h"
#include "core/errors.h"
#include "fixedpoint/fixedpoint.h"
#include "protocol/additive/greeting.h"
#include "protocol/replicated/engine.h"

namespace cryptensor::protocol::replicated {

OperationCost ReplicatedEngine::Costs::total() const {
  OperationCost cost = engine.links_.total();
  if (engine.pair_) cost.add(engine.pair_->links().total());
  return cost;
}

ReplicatedEngine::ReplicatedEngine(std::shared_ptr<net::Transport> transport,
                                   const ReplicatedConfig& config)
    : Engine(config),
      transport_(transport),
      links_(std::make_shared<net::Channel>(transport, 0, config.timeout), kParties,
             net::kRingLane) {
  net::Channel& channel = links_.channel();
  const int me = channel.rank(), ranks = channel.size();
  additive::Keys keys{std::vector<crypto::Key>(ranks), std::vector<crypto::Key>(ranks)};
  for (auto& key : keys.seeds) key = crypto::random_key();
  const auto greetings = additive::greet(
      channel, additive::hello_of(config, config.parties, additive::kReplicated), keys);

  // After the greeting, so that a wrong setting at one party is an error at all of them.
  fixedpoint::check_precision(precision());
  if (config.parties != kParties || ranks != kParties) {
    throw ConfigError(
        fmt::format("parties is {} with {} processes; allowed are 3 for the engine "
                    "replicated, one process each",
                    config.parties, ranks));
  }
  auto prgs = additive::pair_prgs(keys, greetings, me, kParties);
  for (int p = 0; p < kParties; ++p) prgs_[p] = std::move(prgs[p]);
  channel.set_session(greetings[0].nonce);
  if (me == kThird) {
    dealer_ = std::make_unique<ThirdParty>(transport, config.timeout);
  } else {
    additive::AdditiveConfig of_pair;
    static_cast<EngineConfig&>(of_pair) = config;
    of_pair.truncation = truncation();
    of_pair.third_party = true;
    of_pair.timeout = config.timeout;
    pair_ = std::make_unique<PairEngine>(std::move(transport), of_pair);
  }
  statistics_ = Statistics(&costs_);
  statistics_.reset();
}

ReplicatedEngine::~ReplicatedEngine() = default;

void ReplicatedEngine::synchronize(size_t bytes) {
  OperationScope scope(statistics_, "synchronize");
  const size_t words = (bytes + 7) / 8;
  additive::Round round(links_, net::Operation::announce, net::DType::bytes, words);
  std::memset(round.out(), 0, 8 * words);
  round.send();
  round.xor_of_others();
}

// The pair leaves last: a dealer that is done leaves without a word.
void ReplicatedEngine::shutdown() {
  if (!running_) return;
  running_ = false;
  additive::say_goodbye(links_);
  if (pair_) pair_->shutdown();
  if (dealer_) dealer_->finish();
  drop_pool();  // the session's secrets do not outlive it
}

}  // namespace cryptensor::protocol::replicated
