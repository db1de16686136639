// SPDX-License-Identifier: MIT
// The engines of real sessions by their names: the one place where a new one is registered.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "net/transport.h"
#include "protocol/engine.h"

namespace cryptensor::protocol {

struct SessionConfig : EngineConfig {
  int parties = 2;
  std::string provider;  // of correlations: first_party, third_party, stored; or none
  std::string store;     // of the provider stored
  bool records = false;  // notes which correlations are taken
  std::chrono::milliseconds timeout{30000};
};

std::vector<std::string> engine_names();

// Shakes hands with the other parties. ConfigError on every party when their settings differ, here
// for those that the engine does not have.
std::shared_ptr<Engine> make_engine(const std::string& name,
                                    std::shared_ptr<net::Transport> transport,
                                    const SessionConfig& config);

}  // namespace cryptensor::protocol
