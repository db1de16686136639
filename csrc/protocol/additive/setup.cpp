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

namespace cryptensor::protocol::additive {
namespace {

using net::DType;
using net::Message;
using net::Operation;

// What every process tells every other one before anything else. Fixed size.
struct Hello {
  uint32_t parties;
  uint32_t precision;
  uint32_t truncation;
  uint16_t provider;  // a ProviderCode
  uint16_t checked;
  uint64_t nonce;     // rank 0's is the session's name
  uint8_t seed[16];   // for this pair of parties
  uint8_t dealt[16];  // from the last party when it plays the dealer: the receiver's key with it
};
static_assert(sizeof(Hello) == 64 - 8);

enum ProviderCode : uint16_t { kFirstParty = 0, kThirdParty = 1, kStored = 2 };

uint32_t code(std::optional<Truncation> truncation) {
  return truncation ? static_cast<uint32_t>(*truncation) : correlation::PlanSettings::kDefault;
}

void check_same(const char* what, uint32_t mine, uint32_t theirs, int peer) {
  if (mine == theirs) return;
  throw ConfigError(fmt::format("{} is {} here and {} at party {}; all parties must use the same",
                                what, mine, theirs, peer));
}

// The keys of `mine` for each other rank. A dealer has none.
struct Keys {
  std::vector<crypto::Key> seeds, dealt;
};

// One round among all processes, the dealer's too. ConfigError on all of them when two differ.
std::vector<Hello> greet(net::Channel& channel, Hello mine, const Keys& keys) {
  const int me = channel.rank(), ranks = channel.size();
  std::vector<std::unique_ptr<net::Receive>> receives(ranks);
  for (int p = 0; p < ranks; ++p) {
    if (p == me) continue;
    receives[p] =
        channel.receive(p, net::kPartyLane, Operation::handshake, DType::bytes, sizeof(Hello));
  }
  for (int p = 0; p < ranks; ++p) {
    if (p == me) continue;
    std::memcpy(mine.seed, keys.seeds[p].bytes.data(), 16);
    std::memcpy(mine.dealt, keys.dealt[p].bytes.data(), 16);
    Message message(sizeof mine);
    std::memcpy(message.data(), &mine, sizeof mine);
    channel.send(p, net::kPartyLane, Operation::handshake, DType::bytes, std::move(message));
  }
  std::vector<Hello> all(ranks, mine);
  for (int p = 0; p < ranks; ++p) {
    if (p == me) continue;
    const Message message = receives[p]->wait();
    std::memcpy(&all[p], message.data(), sizeof(Hello));
  }
  channel.flush();  // whoever differs leaves, after everybody has heard of it
  const auto deals = [&](int rank) {
    return mine.provider == kThirdParty && rank == static_cast<int>(mine.parties);
  };
  for (int p = 0; p < ranks; ++p) {
    check_same("parties", mine.parties, all[p].parties, p);
    check_same("provider", mine.provider, all[p].provider, p);
    if (deals(me) || deals(p)) continue;  // a dealer serves any precision
    check_same("precision", mine.precision, all[p].precision, p);
    check_same("truncation", mine.truncation, all[p].truncation, p);
    check_same("checked", mine.checked, all[p].checked, p);
  }
  return all;
}

}  // namespace

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
  Hello hello{};
  hello.parties = n;
  hello.precision = precision();
  hello.truncation = code(config_.truncation);
  hello.provider = config_.third_party ? kThirdParty : stored() ? kStored : kFirstParty;
  hello.checked = config_.checked;
  crypto::random_bytes(&hello.nonce, sizeof hello.nonce);
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
  pair_prgs_.resize(n);
  for (int p = 0; p < n; ++p) {
    if (p == me) continue;
    // Both halves enter the key, so that it is random if either party is honest.
    crypto::Key both;
    for (int i = 0; i < 16; ++i) both.bytes[i] = keys.seeds[p].bytes[i] ^ greetings[p].seed[i];
    pair_prgs_[p] = std::make_unique<crypto::Prg>(crypto::derive(both, "zero shares"));
  }
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
  say_goodbye();
  drop_pool();  // the session's secrets do not outlive it
}

// Gloo forgets what has arrived when the sender closes the connection: nobody leaves before all
// have what was sent to them. The others may compute alone for as long as they like.
void AdditiveEngine::say_goodbye() {
  net::Channel& channel = links_.channel();
  try {
    std::vector<std::unique_ptr<net::Receive>> receives;
    for (int p = 0; p < parties(); ++p) {
      if (p == rank()) continue;
      receives.push_back(channel.receive(p, net::kPartyLane, Operation::goodbye, DType::bytes, 0));
      channel.send(p, net::kPartyLane, Operation::goodbye, DType::bytes, Message(0));
    }
    for (auto& receive : receives) receive->wait_without_limit();
    channel.flush();
  } catch (const PeerLost&) {
    // It left first, or failed and reports that itself; this party has all that it needs.
  }
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
