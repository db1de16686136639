// SPDX-License-Identifier: MIT
#include "function/smooth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/errors.h"
#include "function/rounding.h"

namespace cryptensor::function {
namespace {

using protocol::Cut;
using protocol::Engine;
using protocol::Piecewise;
using protocol::Secret;
using protocol::Series;

// Fraction bits of a series before its truncation: results stay below 2^6, so 2^60 is the limit.
int series_bits(const Engine& engine) { return std::min(engine.precision() + 38, 54); }

int64_t units(double value, int fraction_bits) {
  return std::llround(std::ldexp(value, fraction_bits));
}

struct Clamped {
  Secret inside;               // within the window
  std::optional<Secret> tail;  // what the lines beyond it add
};

Clamped clamp_to_window(Engine& engine, const SmoothFunction& f, const Secret& x) {
  const int bits = x.fraction_bits();
  const int64_t low = units(f.low, bits), high = units(f.high, bits);
  Piecewise form{{low, high}, 1, {{bits, {low, 0, 0, 1, high, 0}}}};
  const bool lines = f.left != 0 || f.right != 0;
  if (lines) {
    form.outputs.push_back({bits, {-low * f.left, f.left, 0, 0, -high * f.right, f.right}});
  }
  auto out = engine.piecewise(x, form);
  return {out[0], lines ? std::optional(out[1]) : std::nullopt};
}

// The value, and the derivative if it is asked for.
std::vector<Secret> evaluate(Engine& engine, const SmoothFunction& f, const Secret& x_in,
                             bool with_derivative) {
  const Secret x = with_room(engine, x_in);
  const Clamped clamped = clamp_to_window(engine, f, x);
  const int bits = series_bits(engine), x_bits = x.fraction_bits();
  Series form;
  form.shape.period_bits = static_cast<uint8_t>(f.period_exponent + x_bits);
  form.shape.count = static_cast<uint8_t>(f.harmonics);
  form.shape.odd = f.odd;
  form.outputs.push_back(series_output(f.value, 1.0, bits));
  if (with_derivative) form.outputs.push_back(series_output(f.derivative, 1.0, bits));
  auto out = engine.series(engine.multiplied(clamped.inside, f.kappa, 0), form);
  if (f.linear != 0) {
    const int more = bits - x_bits;
    out[0] = engine.add(out[0], engine.multiplied(clamped.inside, units(f.linear, more), more));
  }
  std::vector<Cut> cuts;
  for (const Secret& y : out) cuts.push_back({y, bits - engine.precision()});
  // The lines may be far too large for the fraction bits of the series: they are cut apart.
  if (clamped.tail) cuts.push_back({*clamped.tail, std::max(x_bits - engine.precision(), 0)});
  out = rounded(engine, cuts);
  if (clamped.tail) {
    out[0] = engine.add(out[0], out.back());
    out.pop_back();
  }
  return out;
}

}  // namespace

Series::Output series_output(const Coefficients& c, double factor, int fraction_bits) {
  const auto at_bits = [&](int64_t value, int bits) {
    return std::llround(std::ldexp(static_cast<double>(value) * factor, bits - kCoefficientBits));
  };
  Series::Output out{fraction_bits, at_bits(c.constant, fraction_bits), {}, {}};
  for (const int64_t a : c.cosines) {
    out.cosines.push_back(at_bits(a, fraction_bits - correlation::kWaveBits));
  }
  for (const int64_t b : c.sines) {
    out.sines.push_back(at_bits(b, fraction_bits - correlation::kWaveBits));
  }
  return out;
}

Secret smooth(Engine& engine, const SmoothFunction& f, const Secret& x) {
  const protocol::OperationScope scope(engine.statistics(), f.name);
  return evaluate(engine, f, x, false)[0];
}

std::pair<Secret, Secret> smooth_with_derivative(Engine& engine, const SmoothFunction& f,
                                                 const Secret& x) {
  if (!f.has_derivative()) {
    throw ConfigError(fmt::format("function is '{}', whose derivative has no table", f.name));
  }
  const protocol::OperationScope scope(engine.statistics(), f.name);
  auto out = evaluate(engine, f, x, true);
  return {std::move(out[0]), std::move(out[1])};
}

std::pair<Secret, Secret> sin_cos(Engine& engine, const Secret& x_in) {
  const protocol::OperationScope scope(engine.statistics(), "sin_cos");
  const Secret x = with_room(engine, x_in);
  // In units of 2^-64 of a turn, whole turns vanish by themselves.
  const int64_t turns = units(0.5 / std::numbers::pi, 64 - x.fraction_bits());
  const int bits = series_bits(engine);
  const int64_t one = int64_t{1} << (bits - correlation::kWaveBits);
  const Series form{{64, 1, false}, {{bits, 0, {0}, {one}}, {bits, 0, {one}, {0}}}};
  const auto out = engine.series(engine.multiplied(x, turns, 0), form);
  const int drop = bits - engine.precision();
  auto cut = rounded(engine, {{out[0], drop}, {out[1], drop}});
  return {std::move(cut[0]), std::move(cut[1])};
}

}  // namespace cryptensor::function
