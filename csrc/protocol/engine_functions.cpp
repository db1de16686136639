// SPDX-License-Identifier: MIT
// Functions of an engine: what one party knows is computed in the clear, the rest by the protocol.
#include <ATen/ops/arange.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/max.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "core/errors.h"
#include "protocol/engine.h"
#include "protocol/public_forms.h"

namespace cryptensor::protocol {
namespace {

void check(const Piecewise& form) {
  const size_t k = form.thresholds.size();
  if (k < 1 || k > correlation::kMaxThresholds) {
    throw ConfigError(fmt::format("thresholds: {} are given; allowed are 1 to {}", k,
                                  correlation::kMaxThresholds));
  }
  for (size_t j = 1; j < k; ++j) {
    if (form.thresholds[j - 1] >= form.thresholds[j]) {
      throw ConfigError("thresholds: they must ascend, also at the precision of the value");
    }
  }
  if (form.degree < 0 || form.degree > correlation::kMaxDegree) {
    throw ConfigError(
        fmt::format("degree is {}; allowed are 0 to {}", form.degree, correlation::kMaxDegree));
  }
  if (form.outputs.empty() || form.outputs.size() > correlation::kMaxForms) {
    throw ConfigError(fmt::format("outputs: {} are given; allowed are 1 to {}", form.outputs.size(),
                                  correlation::kMaxForms));
  }
  for (const auto& output : form.outputs) {
    if (output.coefficients.size() != (k + 1) * (form.degree + 1)) {
      throw ConfigError(fmt::format("outputs: {} coefficients are given for {} pieces of degree {}",
                                    output.coefficients.size(), k + 1, form.degree));
    }
  }
}

}  // namespace

at::Tensor Engine::known(const Secret& a, const at::Tensor& value) const {
  return holds(a) ? value : zeros_like_share(value.sizes());
}

std::vector<Secret> Engine::piecewise(const Secret& a, const Piecewise& form) {
  check(form);
  OperationScope scope(statistics_, "piecewise");
  if (!is_local(a)) return shared_piecewise(a, form);
  std::vector<Secret> out;
  const auto values = evaluate(form, a.share());
  for (size_t o = 0; o < values.size(); ++o) {
    out.emplace_back(known(a, values[o]), form.outputs[o].fraction_bits, a.owner());
  }
  return out;
}

std::vector<Secret> Engine::series(const Secret& a, const Series& form) {
  OperationScope scope(statistics_, "series");
  if (!is_local(a)) return shared_series(a, form);
  std::vector<Secret> out;
  const auto values = evaluate(form, a.share());
  for (size_t o = 0; o < values.size(); ++o) {
    out.emplace_back(known(a, values[o]), form.outputs[o].fraction_bits, a.owner());
  }
  return out;
}

std::pair<Secret, Secret> Engine::power_of_two(const Secret& a, const PowerOfTwo& form) {
  OperationScope scope(statistics_, "power_of_two");
  if (!is_local(a)) return shared_power_of_two(a, form);
  const auto [low, high] = evaluate(form, a.share());
  return {Secret(known(a, low), form.low_bits, a.owner()),
          Secret(known(a, high), form.high_bits, a.owner())};
}

Secret Engine::is_zero(const Secret& a) {
  OperationScope scope(statistics_, "is_zero");
  if (!is_local(a)) return shared_is_zero(a);
  return Secret(known(a, at::eq(a.share(), 0).to(at::kLong)), 0, a.owner());
}

Secret Engine::one_hot(const Secret& index, int64_t size) {
  if (size < 1 || size > (int64_t{1} << 30)) {
    throw ConfigError(fmt::format("size is {}; allowed are 1 to 2^30", size));
  }
  if (index.fraction_bits() != 0) {
    throw ConfigError(
        fmt::format("index has {} fraction bits; it must be an integer", index.fraction_bits()));
  }
  OperationScope scope(statistics_, "one_hot");
  if (!is_local(index)) return shared_one_hot(index, size);
  const at::Tensor places = at::arange(size, at::kLong);
  return Secret(known(index, at::eq(index.share().unsqueeze(-1), places).to(at::kLong)), 0,
                index.owner());
}

Choice Engine::choose(const Secret& index, const Secret& candidates, int64_t target) {
  if (target < 0 || target >= kMostChoices) {
    throw ConfigError(fmt::format("target is {}; allowed are 0 to {}", target, kMostChoices - 1));
  }
  if (index.sizes() != candidates.sizes()) {
    throw ShapeError("choose: index and candidates must have one shape");
  }
  if (index.fraction_bits() != 0) {
    throw ConfigError(
        fmt::format("index has {} fraction bits; it must be an integer", index.fraction_bits()));
  }
  OperationScope scope(statistics_, "choose");
  if (is_local(index)) {
    const Secret chosen(known(index, at::eq(index.share(), target).to(at::kLong)), 0,
                        index.owner());
    return {chosen, product({ring::Bilinear::multiply, {}}, chosen, candidates)};
  }
  return shared_choose(index, is_local(candidates) ? share(candidates) : candidates, target);
}

Tournament Engine::tournament(const Secret& a) {
  if (a.sizes().empty() || a.sizes()[0] != 4) {
    throw ShapeError("a tournament is among 4 candidates along the first dimension");
  }
  OperationScope scope(statistics_, "maximum");
  if (!is_local(a)) return shared_tournament(a);
  const auto [largest, place] = a.share().max(0);  // the first of equal ones
  Tournament out{Secret(known(a, largest), a.fraction_bits(), a.owner()), {}};
  for (int i = 0; i < 3; ++i) {
    out.wins.emplace_back(known(a, at::eq(place, i).to(at::kLong)), 0, a.owner());
  }
  return out;
}

}  // namespace cryptensor::protocol
