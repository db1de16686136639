// SPDX-License-Identifier: MIT
#include "protocol/additive/greeting.h"

#include <fmt/format.h>

#include <cstring>

#include "core/errors.h"

namespace cryptensor::protocol::additive {

using net::DType;
using net::Message;
using net::Operation;

namespace {

void check_same(const char* what, uint32_t mine, uint32_t theirs, int peer) {
  if (mine == theirs) return;
  throw ConfigError(fmt::format("{} is {} here and {} at party {}; all parties must use the same",
                                what, mine, theirs, peer));
}

}  // namespace

uint32_t code(std::optional<Truncation> truncation) {
  return truncation ? static_cast<uint32_t>(*truncation) : correlation::PlanSettings::kDefault;
}

Hello hello_of(const EngineConfig& config, int parties, ProviderCode provider) {
  Hello hello{};
  hello.parties = parties;
  hello.precision = config.precision;
  hello.truncation = code(config.truncation);
  hello.provider = provider;
  hello.checked = config.checked;
  crypto::random_bytes(&hello.nonce, sizeof hello.nonce);
  return hello;
}

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

std::vector<std::unique_ptr<crypto::Prg>> pair_prgs(const Keys& keys,
                                                    const std::vector<Hello>& greetings, int rank,
                                                    int parties) {
  std::vector<std::unique_ptr<crypto::Prg>> out(parties);
  for (int p = 0; p < parties; ++p) {
    if (p == rank) continue;
    crypto::Key both;
    for (int i = 0; i < 16; ++i) both.bytes[i] = keys.seeds[p].bytes[i] ^ greetings[p].seed[i];
    out[p] = std::make_unique<crypto::Prg>(crypto::derive(both, "zero shares"));
  }
  return out;
}

}  // namespace cryptensor::protocol::additive
