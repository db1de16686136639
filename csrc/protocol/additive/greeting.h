// SPDX-License-Identifier: MIT
// How the processes of a session introduce themselves to each other.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "correlation/plan.h"
#include "crypto/key.h"
#include "crypto/prg.h"
#include "net/channel.h"
#include "protocol/engine.h"

namespace cryptensor::protocol::additive {

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

enum ProviderCode : uint16_t { kFirstParty = 0, kThirdParty = 1, kStored = 2, kReplicated = 3 };

// Of the kind of truncation, as plans have it.
uint32_t code(std::optional<Truncation> truncation);

// With a fresh nonce.
Hello hello_of(const EngineConfig& config, int parties, ProviderCode provider);

// The keys of `mine` for each other rank. A dealer has none.
struct Keys {
  std::vector<crypto::Key> seeds, dealt;
};

// One round among all processes, the dealer's too. ConfigError on all of them when two differ.
std::vector<Hello> greet(net::Channel& channel, Hello mine, const Keys& keys);

// A generator that this party has in common with each of the others, none at its own place. Both
// halves enter the key, so that it is random if either party is honest.
std::vector<std::unique_ptr<crypto::Prg>> pair_prgs(const Keys& keys,
                                                    const std::vector<Hello>& greetings, int rank,
                                                    int parties);

}  // namespace cryptensor::protocol::additive
