// SPDX-License-Identifier: MIT
#include "function/tables.h"

#include <fmt/format.h>

#include "core/errors.h"

namespace cryptensor::function {
namespace {

const std::vector<SmoothFunction>& tables() {
  static const std::vector<SmoothFunction> all = {
#include "function/tables.inl"
  };
  return all;
}

}  // namespace

const SmoothFunction& smooth_function(const std::string& name) {
  std::string known;
  for (const SmoothFunction& function : tables()) {
    if (function.name == name) return function;
    known += (known.empty() ? "" : ", ") + std::string(function.name);
  }
  throw ConfigError(fmt::format("function is '{}'; allowed are {}", name, known));
}

}  // namespace cryptensor::function
