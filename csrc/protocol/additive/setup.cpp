// SPDX-License-Identifier: MIT
// How a session begins and ends: handshake, seeds, provider, goodbye.
#include <fmt/format.h>

#include <cstring>

#include "core/errors.h"
#include "correlation/first_party.h"
#include "correlation/third_party.h"
#include "crypto/key.h"
#include "fixedpoint/fixedpoint.h"
#include "protocol/additive/engine.h"

namespace cryptensor::protocol::additive {
namespace {

using net::DType;
using net::Message;
using net::Operation;

// What each party tells each other party before anything else. Fixed size.
struct Hello {
  uint32_t parties;
  uint32_t precision;
  uint32_t truncation;
  uint32_t third_party;
  uint64_t nonce;    // rank 0's is the session's name
  uint8_t seed[16];  // for this pair of parties
  uint8_t dealt[16];  // from the last party when it plays the dealer: the receiver's key with it
};
static_assert(sizeof(Hello) == 64 - 8);

constexpr uint32_t kDefaultTruncation = 255;

uint32_t code(std::optional<Truncation> truncation) {
  return truncation ? static_cast<uint32_t>(*truncation) : kDefaultTruncation;
}

void check_same(const char* what, uint32_t mine, uint32_t theirs, int peer) {
  if (mine == theirs) return;
  throw ConfigError(fmt::format("{} is {} here and {} at party {}; all parties must use the same", what, mine,
                                theirs, peer));
}

}  // namespace

AdditiveEngine::AdditiveEngine(std::shared_ptr<net::Transport> transport, const AdditiveConfig& config)
    : Engine(config),
      config_(config),
      links_(std::make_shared<net::Channel>(transport, 0, config.timeout), config.parties) {
  fixedpoint::check_precision(config.precision);
  const int ranks = config.parties + (config.third_party ? 1 : 0);
  if (config.parties < 2 || config.parties > 16 || transport->size() != ranks) {
    throw ConfigError(fmt::format("parties is {} with {} processes; allowed are 2 to 16 parties, one process "
                                  "each, and one for a third-party dealer",
                                  config.parties, transport->size()));
  }
  if (config.timeout.count() <= 0) throw ConfigError("timeout must be positive");
  handshake();
  statistics_ = Statistics(&links_);
  statistics_.reset();
}

AdditiveEngine::~AdditiveEngine() = default;

void AdditiveEngine::handshake() {
  net::Channel& channel = links_.channel();
  const int me = rank(), n = parties();
  const bool deals = !config_.third_party && me == n - 1;
  std::vector<crypto::Key> dealt(n), seeds(n);
  if (deals) {
    for (auto& key : dealt) key = crypto::random_key();
  }
  Hello hello{};
  hello.parties = n;
  hello.precision = precision();
  hello.truncation = code(config_.truncation);
  hello.third_party = config_.third_party;
  crypto::random_bytes(&hello.nonce, sizeof hello.nonce);
  uint64_t session = hello.nonce;

  std::vector<std::unique_ptr<net::Receive>> receives(n);
  for (int p = 0; p < n; ++p) {
    if (p == me) continue;
    receives[p] = channel.receive(p, net::kPartyLane, Operation::handshake, DType::bytes, sizeof(Hello));
  }
  for (int p = 0; p < n; ++p) {
    if (p == me) continue;
    seeds[p] = crypto::random_key();
    std::memcpy(hello.seed, seeds[p].bytes.data(), 16);
    std::memcpy(hello.dealt, dealt[p].bytes.data(), 16);
    Message message(sizeof hello);
    std::memcpy(message.data(), &hello, sizeof hello);
    channel.send(p, net::kPartyLane, Operation::handshake, DType::bytes, std::move(message));
  }
  std::vector<Hello> greetings(n, hello);
  pair_prgs_.resize(n);
  for (int p = 0; p < n; ++p) {
    if (p == me) continue;
    const Message message = receives[p]->wait();
    std::memcpy(&greetings[p], message.data(), sizeof(Hello));
    // Both halves enter the key, so that it is random if either party is honest.
    crypto::Key both;
    for (int i = 0; i < 16; ++i) both.bytes[i] = seeds[p].bytes[i] ^ greetings[p].seed[i];
    pair_prgs_[p] = std::make_unique<crypto::Prg>(crypto::derive(both, "zero shares"));
  }
  for (int p = 0; p < n; ++p) {
    check_same("parties", n, greetings[p].parties, p);
    check_same("precision", precision(), greetings[p].precision, p);
    check_same("truncation", hello.truncation, greetings[p].truncation, p);
    check_same("third-party dealer", hello.third_party, greetings[p].third_party, p);
  }
  session = greetings[0].nonce;
  if (config_.third_party) {
    if (me == 0) {
      Message name(8);
      std::memcpy(name.data(), &session, 8);
      channel.send(n, net::kRequestLane, Operation::handshake, DType::bytes, std::move(name));
    }
    channel.flush();
    channel.set_session(session);
    const Message seed =
        channel.receive(n, net::kCorrectionLane, Operation::dealer_seed, DType::bytes, 16)->wait();
    crypto::Key key;
    std::memcpy(key.bytes.data(), seed.data(), 16);
    provider_ = std::make_unique<correlation::ThirdPartyProvider>(channel, key, me, n);
  } else {
    channel.flush();
    channel.set_session(session);
    if (!deals) std::memcpy(dealt[me].bytes.data(), greetings[n - 1].dealt, 16);
    provider_ = std::make_unique<correlation::FirstPartyProvider>(dealt, me);
  }
  links_.set_provider(provider_.get());
}

void AdditiveEngine::shutdown() {
  if (!running_) return;
  running_ = false;
  provider_->finish();
  links_.channel().flush();
}

void serve_dealer(std::shared_ptr<net::Transport> transport, int parties, std::chrono::milliseconds timeout) {
  if (transport->rank() != parties || transport->size() != parties + 1) {
    throw ConfigError(fmt::format("the dealer must be rank {} of {} processes", parties, parties + 1));
  }
  net::Channel channel(std::move(transport), 0, timeout);
  const Message name =
      channel.receive(0, net::kRequestLane, Operation::handshake, DType::bytes, 8)->wait();
  uint64_t session;
  std::memcpy(&session, name.data(), 8);
  channel.set_session(session);
  correlation::serve_dealer(channel, parties);
}

}  // namespace cryptensor::protocol::additive
