// SPDX-License-Identifier: MIT
#include "protocol/engines.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/errors.h"
#include "protocol/additive/engine.h"
#include "protocol/replicated/engine.h"

namespace cryptensor::protocol {
namespace {

using Made = std::shared_ptr<Engine>;

Made make_additive(std::shared_ptr<net::Transport> transport, const SessionConfig& config) {
  const std::string& provider = config.provider;
  if (provider != "first_party" && provider != "third_party" && provider != "stored") {
    throw ConfigError("provider is '" + provider +
                      "'; allowed are first_party, third_party and stored");
  }
  if ((provider == "stored") == config.store.empty()) {
    throw ConfigError("store is '" + config.store +
                      "'; it must be given with the provider stored only");
  }
  additive::AdditiveConfig made;
  static_cast<EngineConfig&>(made) = config;
  made.parties = config.parties;
  made.third_party = provider == "third_party";
  made.store = config.store;
  made.records = config.records;
  made.timeout = config.timeout;
  return std::make_shared<additive::AdditiveEngine>(std::move(transport), made);
}

Made make_replicated(std::shared_ptr<net::Transport> transport, const SessionConfig& config) {
  if (config.provider != "none" || !config.store.empty() || config.records) {
    throw ConfigError("provider is '" + config.provider +
                      "' with the engine replicated, whose parties deal for each other; allowed is "
                      "none, without a store or records");
  }
  replicated::ReplicatedConfig made;
  static_cast<EngineConfig&>(made) = config;
  made.parties = config.parties;
  made.timeout = config.timeout;
  return std::make_shared<replicated::ReplicatedEngine>(std::move(transport), made);
}

struct Registration {
  const char* name;
  Made (*make)(std::shared_ptr<net::Transport>, const SessionConfig&);
};
constexpr Registration kEngines[] = {{"additive", make_additive}, {"replicated", make_replicated}};

}  // namespace

std::vector<std::string> engine_names() {
  std::vector<std::string> out;
  for (const auto& engine : kEngines) out.emplace_back(engine.name);
  return out;
}

Made make_engine(const std::string& name, std::shared_ptr<net::Transport> transport,
                 const SessionConfig& config) {
  for (const auto& engine : kEngines) {
    if (name == engine.name) return engine.make(std::move(transport), config);
  }
  throw ConfigError(
      fmt::format("engine is '{}'; allowed are {}", name, fmt::join(engine_names(), ", ")));
}

}  // namespace cryptensor::protocol
