// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "core/errors.h"
#include "net/channel.h"
#include "net/decorators.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;
using additive::AdditiveConfig;
using additive::AdditiveEngine;

// The class of what was thrown.
std::string kind_of(const std::exception_ptr& error) {
  if (!error) return "none";
  try {
    std::rethrow_exception(error);
  } catch (const ConfigError&) {
    return "config";
  } catch (const ProtocolError&) {
    return "protocol";
  } catch (const PeerTimeout&) {
    return "timeout";
  } catch (const PeerLost&) {
    return "lost";
  } catch (const std::exception& other) {
    return other.what();
  }
}

// One engine a rank, each with its own configuration.
std::vector<std::string> meet(const std::vector<AdditiveConfig>& configs) {
  const int ranks = static_cast<int>(configs.size());
  net::MemoryHub hub(ranks);
  std::vector<std::string> out;
  for (const auto& error : in_threads(hub, ranks, [&](int rank) {
         AdditiveEngine engine(hub.transport(rank), configs[rank]);
         engine.shutdown();
       })) {
    out.push_back(kind_of(error));
  }
  return out;
}

AdditiveConfig config(int parties, int precision = 16,
                      std::optional<Truncation> truncation = std::nullopt) {
  return config_of({parties, false, precision, truncation});
}

using Kinds = std::vector<std::string>;

TEST(Handshake, EqualSettingsMeet) {
  for (int parties = 2; parties <= 5; ++parties) {
    EXPECT_EQ(meet(std::vector<AdditiveConfig>(parties, config(parties, 20))),
              Kinds(parties, "none"));
  }
}

TEST(Handshake, ADifferentPrecisionIsAnErrorOnEveryParty) {
  EXPECT_EQ(meet({config(2, 16), config(2, 20)}), Kinds(2, "config"));
  for (int odd = 0; odd < 3; ++odd) {
    std::vector<AdditiveConfig> configs(3, config(3));
    configs[odd].precision = 17;
    EXPECT_EQ(meet(configs), Kinds(3, "config")) << odd;
  }
}

TEST(Handshake, ADifferentTruncationIsAnErrorOnEveryParty) {
  EXPECT_EQ(meet({config(2, 16, Truncation::exact), config(2)}), Kinds(2, "config"));
  EXPECT_EQ(meet({config(3), config(3), config(3, 16, Truncation::interactive)}),
            Kinds(3, "config"));
}

TEST(Handshake, ADifferentProviderIsAnErrorOnEveryParty) {
  // Three processes: two parties and a dealer, or three parties. Who is which is not agreed upon.
  for (int odd = 0; odd < 3; ++odd) {
    std::vector<AdditiveConfig> configs(3, config(3));
    configs[odd] = config_of({2, true});
    EXPECT_EQ(meet(configs), Kinds(3, "config")) << odd;
  }
}

TEST(Handshake, TheDealerHearsOfADifferentProvider) {
  for (int odd = 0; odd < 2; ++odd) {
    net::MemoryHub hub(3);
    const auto thrown = in_threads(hub, 3, [&](int rank) {
      if (rank == 2) return additive::serve_dealer(hub.transport(2), 2, std::chrono::seconds(20));
      AdditiveEngine engine(hub.transport(rank), rank == odd ? config(3) : config_of({2, true}));
    });
    for (const auto& error : thrown) EXPECT_EQ(kind_of(error), "config") << odd;
  }
}

TEST(Handshake, TheNumberOfProcessesMustFit) {
  EXPECT_EQ(meet({config(3), config(3)}), Kinds(2, "config"));
  EXPECT_EQ(meet({config_of({2, true}), config_of({2, true})}), Kinds(2, "config"));
  EXPECT_EQ(meet({config(1)}), Kinds(1, "config"));
  EXPECT_EQ(meet(std::vector<AdditiveConfig>(17, config(17))), Kinds(17, "config"));
}

TEST(Handshake, ADealerIsNoParty) {
  // Its settings are right, but the other two wait for a seed that it does not send.
  EXPECT_EQ(meet(std::vector<AdditiveConfig>(3, config_of({2, true}))),
            (Kinds{"lost", "lost", "config"}));
  net::MemoryHub hub(3);
  EXPECT_THROW(additive::serve_dealer(hub.transport(1), 2, std::chrono::seconds(1)), ConfigError);
  EXPECT_THROW(additive::serve_dealer(hub.transport(2), 3, std::chrono::seconds(1)), ConfigError);
}

TEST(Handshake, SettingsOutsideTheirRangeAreRefusedAtOnce) {
  for (const int precision : {7, 25, -1}) {
    EXPECT_EQ(meet({config(2, precision), config(2, precision)}), Kinds(2, "config"));
  }
  AdditiveConfig hasty = config(2);
  hasty.timeout = std::chrono::milliseconds(0);
  EXPECT_EQ(meet({hasty, hasty}), Kinds(2, "config"));
}

TEST(Handshake, AMissingPartyIsNamedInTime) {
  net::MemoryHub hub(3);
  const auto start = std::chrono::steady_clock::now();
  const auto thrown = in_threads(hub, 2, [&](int rank) {
    AdditiveConfig impatient = config(3);
    impatient.timeout = std::chrono::milliseconds(300);
    try {
      AdditiveEngine engine(hub.transport(rank), impatient);
    } catch (const PeerTimeout& error) {
      EXPECT_NE(std::string(error.what()).find("peer 2"), std::string::npos) << error.what();
      throw;
    }
  });
  for (const auto& error : thrown) EXPECT_EQ(kind_of(error), "timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1300));
}

TEST(Handshake, WhatIsNoGreetingIsRefused) {
  for (const size_t bytes : {0, 55, 57, 4096}) {
    net::MemoryHub hub(2);
    const auto thrown = in_threads(hub, 2, [&](int rank) {
      if (rank == 0) {
        AdditiveEngine engine(hub.transport(0), config(2));
        return;
      }
      net::Channel stranger(hub.transport(1), 0, std::chrono::seconds(20));
      net::Message message(bytes);
      std::memset(message.data(), 0xff, bytes);
      stranger.send(0, net::kPartyLane, net::Operation::handshake, net::DType::bytes,
                    std::move(message));
      stranger.flush();
    });
    EXPECT_EQ(kind_of(thrown[0]), "protocol") << bytes;
  }
}

// Keys of parties with each other and with the dealer come from the system, not from the settings.
TEST(Handshake, EverySessionHasNewKeys) {
  std::vector<at::Tensor> shares;
  for (int session = 0; session < 2; ++session) {
    run({2}, [&](Engine& e) {
      const Secret x = e.encode_public(at::zeros({16}));
      const at::Tensor share = e.share(x).share();
      if (e.rank() == 0) shares.push_back(share);
    });
  }
  EXPECT_FALSE(at::equal(shares[0], shares[1]));
}

TEST(Handshake, FramesOfASessionDoNotFitAnother) {
  const auto session_of = [] {
    net::MemoryHub hub(2);
    std::vector<uint8_t> header;
    in_threads(hub, 2, [&](int rank) {
      const auto trace = std::make_shared<net::TraceTransport>(hub.transport(rank));
      AdditiveEngine e(trace, config(2));
      e.reveal(shared(e, at::zeros({1}, at::kLong)), {});
      if (rank == 0) header = trace->frames().back().frame;
      e.shutdown();
    });
    return std::vector<uint8_t>(header.begin() + 8, header.begin() + 16);  // the session's name
  };
  EXPECT_NE(session_of(), session_of());
}

}  // namespace
}  // namespace cryptensor::protocol
