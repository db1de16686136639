// SPDX-License-Identifier: MIT
#include "function/piecewise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/errors.h"
#include "fixedpoint/fixedpoint.h"

namespace cryptensor::function {
namespace {

using protocol::Engine;
using protocol::Piecewise;
using protocol::Secret;

// Of a curved piece before its truncation: values up to 2^7 still fit.
constexpr int kMostBits = 54;

int degree_of(const Polynomial& p) {
  int degree = static_cast<int>(p.size()) - 1;
  while (degree > 0 && p[degree] == 0) --degree;
  return std::max(degree, 0);
}

void check(const std::vector<double>& thresholds,
           const std::vector<std::vector<Polynomial>>& outputs) {
  for (const auto& pieces : outputs) {
    if (pieces.size() != thresholds.size() + 1) {
      throw ConfigError(fmt::format("outputs: {} pieces are given; {} thresholds need {}",
                                    pieces.size(), thresholds.size(), thresholds.size() + 1));
    }
    for (const Polynomial& p : pieces) {
      if (degree_of(p) > correlation::kMaxDegree) {
        throw ConfigError(fmt::format("outputs: a polynomial of degree {}; allowed are 0 to {}",
                                      degree_of(p), correlation::kMaxDegree));
      }
      for (const double c : p) {
        if (!std::isfinite(c)) throw RangeError(fmt::format("outputs: a coefficient is {}", c));
      }
    }
  }
}

// The pieces for which `keep` holds, with as few fraction bits as their coefficients need.
template <class Keep>
Piecewise::Output encoded(const Engine& engine, const std::vector<Polynomial>& pieces, int x_bits,
                          int degree, const Keep& keep) {
  int bits = 0;
  for (const Polynomial& p : pieces) {
    if (!keep(p)) continue;
    for (int i = 0; i <= degree_of(p) && !p.empty(); ++i) {
      const auto scalar = fixedpoint::encode_scalar(p[i], engine.precision());
      if (scalar.mantissa != 0) bits = std::max(bits, i * x_bits + scalar.shift);
    }
  }
  if (bits > kMostBits) {
    throw ConfigError(
        fmt::format("outputs: a polynomial needs {} fraction bits at precision {}; allowed are {}",
                    bits, engine.precision(), kMostBits));
  }
  Piecewise::Output out{bits, {}};
  for (const Polynomial& p : pieces) {
    for (int i = 0; i <= degree; ++i) {
      const bool present = keep(p) && i < static_cast<int>(p.size()) && p[i] != 0;
      const auto scalar = fixedpoint::encode_scalar(present ? p[i] : 0, engine.precision());
      const int up = bits - i * x_bits - scalar.shift;
      out.coefficients.push_back(present && scalar.mantissa != 0 ? scalar.mantissa << up : 0);
    }
  }
  return out;
}

}  // namespace

std::vector<Secret> piecewise(Engine& engine, const Secret& x_in,
                              const std::vector<double>& thresholds,
                              const std::vector<std::vector<Polynomial>>& outputs) {
  check(thresholds, outputs);
  Piecewise form;
  form.degree = 0;
  for (const auto& pieces : outputs) {
    for (const Polynomial& p : pieces) form.degree = std::max(form.degree, degree_of(p));
  }
  const Secret x = form.degree >= 2 ? engine.settle(x_in) : x_in;
  const int bits = x.fraction_bits();
  for (const double t : thresholds) {
    const double units = std::ldexp(t, bits);
    if (!(std::abs(units) < 0x1p62))
      throw RangeError(fmt::format("thresholds: {} is too large", t));
    // x >= t for encoded x: the first number that is not below t.
    form.thresholds.push_back(static_cast<int64_t>(std::ceil(units)));
  }
  const auto curved = [](const Polynomial& p) { return degree_of(p) >= 2; };
  const auto straight = [](const Polynomial& p) { return degree_of(p) < 2; };
  // Curved pieces need many fraction bits, straight ones the whole range: each has its own output.
  std::vector<int> curved_at;
  for (const auto& pieces : outputs) {
    form.outputs.push_back(encoded(engine, pieces, bits, form.degree, straight));
  }
  for (const auto& pieces : outputs) {
    const bool any = std::any_of(pieces.begin(), pieces.end(), curved);
    curved_at.push_back(any ? static_cast<int>(form.outputs.size()) : -1);
    if (any) form.outputs.push_back(encoded(engine, pieces, bits, form.degree, curved));
  }
  const auto values = engine.piecewise(x, form);
  std::vector<Secret> out;
  for (size_t o = 0; o < outputs.size(); ++o) {
    out.push_back(curved_at[o] < 0 ? values[o]
                                   : engine.add(values[o], engine.settle(values[curved_at[o]])));
  }
  return out;
}

}  // namespace cryptensor::function
