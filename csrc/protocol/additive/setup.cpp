// SPDX-License-Identifier: MIT
// How a session begins and ends: handshake, seeds, provider, goodbye.
#include <fmt/format.h>

#include <cstring>

#include "core/buffer.h"
#include "core/errors.h"
#include "correlation/first_party.h"
#include "correlation/recording.h"
#include "correlation/rehearsed.h"
#include "correlation/serving.h"
#include "correlation/stored.h"
#include "correlation/third_party.h"
#include "crypto/key.h"
#include "fixedpoint/fixedpoint.h"
#include "protocol/additive/engine.h"
#include "protocol/additive/greeting.h"

namespace cryptensor::protocol::additive {
using net::DType;
using net::Message;
using net::Operation;

AdditiveEngine::AdditiveEngine(std::shared_ptr<net::Transport> transport,
                               const AdditiveConfig& config)
    : Engine(config),
      config_(config),
      links_(std::make_shared<net::Channel>(transport, 0, config.timeout), config.parties) {
  handshake();
  statistics_ = Statistics(&links_);
  statistics_.reset();
}

AdditiveEngine::~AdditiveEngine() = default;

void AdditiveEngine::handshake() {
  net::Channel& channel = links_.channel();
  const int me = rank(), n = parties(), ranks = channel.size();
  const bool deals = !config_.third_party && !stored() && me == n - 1;
  Keys keys{std::vector<crypto::Key>(ranks), std::vector<crypto::Key>(ranks)};
  for (auto& key : keys.seeds) key = crypto::random_key();
  // In a simulation every party knows the keys of all: they come from one that the last sends.
  if (deals) std::fill(keys.dealt.begin(), keys.dealt.end(), crypto::random_key());
  const Hello hello = hello_of(config_, n,
                               config_.third_party ? kThirdParty
                               : stored()          ? kStored
                                                   : kFirstParty);
  const std::vector<Hello> greetings = greet(channel, hello, keys);

  // After the greeting, so that a wrong setting at one party is an error at all of them.
  fixedpoint::check_precision(precision());
  if (n < 2 || n > 16 || ranks != n + (config_.third_party ? 1 : 0)) {
    throw ConfigError(
        fmt::format("parties is {} with {} processes; allowed are 2 to 16 parties, one process "
                    "each, and one for a third-party dealer",
                    n, ranks));
  }
  if (me >= n) throw ConfigError(fmt::format("rank {} is that of the dealer; it must serve", me));
  pair_prgs_ = pair_prgs(keys, greetings, me, n);
  channel.set_session(greetings[0].nonce);
  if (config_.rehearsal) {
    std::vector<crypto::Key> all(n);
    for (auto& key : all) key = crypto::random_key();
    provider_ = std::make_unique<correlation::RehearsedProvider>(all, me);
  } else if (config_.third_party) {
    const Message seed =
        channel.receive(n, net::kCorrectionLane, Operation::dealer_seed, DType::bytes, 16)->wait();
    crypto::Key key;
    std::memcpy(key.bytes.data(), seed.data(), 16);
    provider_ = std::make_unique<correlation::ThirdPartyProvider>(channel, key, me, n);
  } else if (stored()) {
    provider_ = correlation::StoredProvider::open(channel, config_.store, plan_settings());
  } else {
    crypto::Key root = keys.dealt[me];
    if (!deals) std::memcpy(root.bytes.data(), greetings[n - 1].dealt, 16);
    provider_ = first_party(root);
  }
  links_.set_provider(provider_.get());
}

Dealing AdditiveEngine::dealing() const {
  const auto* alone = dynamic_cast<const correlation::RehearsedProvider*>(provider_.get());
  return alone == nullptr ? Dealing{} : Dealing{alone->dealing_seconds(), alone->requests()};
}

std::unique_ptr<correlation::Provider> AdditiveEngine::first_party(const crypto::Key& root) const {
  std::vector<crypto::Key> all;
  for (int p = 0; p < parties(); ++p) all.push_back(crypto::derive(root, "party", p));
  if (config_.records) return std::make_unique<correlation::RecordingProvider>(all, rank());
  return std::make_unique<correlation::FirstPartyProvider>(all, rank());
}

const correlation::Recording& AdditiveEngine::recording() const {
  const auto* provider = dynamic_cast<const correlation::RecordingProvider*>(provider_.get());
  if (provider == nullptr) throw ConfigError("the session does not record what it takes");
  return provider->recording();
}

correlation::PlanSettings AdditiveEngine::plan_settings() const {
  return {static_cast<uint8_t>(parties()), static_cast<uint8_t>(precision()),
          static_cast<uint8_t>(code(config_.truncation)), checked()};
}

void AdditiveEngine::synchronize(size_t bytes) {
  OperationScope scope(statistics_, "synchronize");
  Round round(links_, Operation::announce, DType::bytes, (bytes + 7) / 8);
  std::memset(round.out(), 0, 8 * ((bytes + 7) / 8));
  round.send();
  round.xor_of_others();
}

void AdditiveEngine::shutdown() {
  if (!running_) return;
  running_ = false;
  provider_->finish();
  say_goodbye(links_);
  drop_pool();  // the session's secrets do not outlive it
}

void serve_dealer(std::shared_ptr<net::Transport> transport, int parties,
                  std::chrono::milliseconds timeout, size_t memory) {
  if (transport->rank() != parties || transport->size() != parties + 1) {
    throw ConfigError(
        fmt::format("the dealer must be rank {} of {} processes", parties, parties + 1));
  }
  net::Channel channel(std::move(transport), 0, timeout);
  Hello hello{};
  hello.parties = parties;
  hello.provider = kThirdParty;
  const Keys none{std::vector<crypto::Key>(parties + 1), std::vector<crypto::Key>(parties + 1)};
  channel.set_session(greet(channel, hello, none)[0].nonce);
  correlation::serve_dealer(channel, parties, memory);
  drop_pool();
}

}  // namespace cryptensor::protocol::additive
