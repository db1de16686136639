// SPDX-License-Identifier: MIT
#include "function/power.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/errors.h"
#include "function/domain.h"
#include "function/rounding.h"
#include "function/smooth.h"

namespace cryptensor::function {
namespace {

using protocol::Engine;
using protocol::Piecewise;
using protocol::PowerOfTwo;
using protocol::Secret;

constexpr int kExponentBits = 54;  // fraction bits of a logarithm that is at most 2^6
constexpr int kOctaves = 4;        // of a segment: its window is [1, 16)
constexpr int kWindowBits = 56;    // the window's 1 as a ring element; its end is 2^60

int64_t units(double value, int fraction_bits) {
  return std::llround(std::ldexp(value, fraction_bits));
}

int floor_log2(int64_t value) {
  return 63 - __builtin_clzll(static_cast<uint64_t>(std::max<int64_t>(value, 1)));
}

// Both forms have indices of 8 octaves. That of c - r is the floor of x / 8 or one more.
constexpr int kStepBits = 3, kStep = 8;

int index_below(double octaves) { return static_cast<int>(std::floor(octaves / kStep)); }

// Seven steps of octaves from `lowest` on, with results up to 2^16.
PowerOfTwo narrow_powers(int fraction_bits, int lowest) {
  const auto bits = static_cast<uint8_t>(fraction_bits);
  return {{bits, static_cast<uint8_t>(bits + kStepBits), 3, 22}, lowest, lowest + kStep, 44, 0};
}

// From 2^-64 to 2^56. Results from 2^24 on keep no more fraction bits than the precision.
PowerOfTwo wide_powers(int fraction_bits, int precision) {
  const auto bits = static_cast<uint8_t>(fraction_bits);
  return {{bits, static_cast<uint8_t>(bits + kStepBits), 4, 20}, -8, 3, 36, precision};
}

UnroundedPower unrounded(const std::pair<Secret, Secret>& powers, bool wide, int fraction_bits) {
  UnroundedPower out{{powers.first, powers.first.fraction_bits() - fraction_bits}, {}};
  if (wide) out.high = powers.second;
  return out;
}

Secret finished(Engine& engine, const UnroundedPower& power) {
  return power.sum(engine, rounded(engine, power.low.value, power.low.bits));
}

// factor * log2(x) + offset, where it is above `floor`. An x <= 0 gives `end`.
struct Scale {
  double factor, offset, end, floor;
  bool zero_allowed;  // x = 0 is within the domain, and gives `end`
};

// On a piece of the domain, from `from` on: x moved into the window (or a constant there, which has
// the logarithm that the exponent lacks), and the scaled logarithm of the power of 16 that moves
// it.
struct Segment {
  int64_t from;
  int64_t constant, slope;  // at kWindowBits
  double exponent;
  bool outside;  // of the domain
};

constexpr int64_t kWindowStart = int64_t{1} << kWindowBits;
constexpr int64_t kWindowEnd = int64_t{1} << (kWindowBits + kOctaves);

std::vector<Segment> segments_of(const Scale& scale, int bits, const Known& domain, bool open,
                                 bool checked) {
  const auto exponent_of = [&](int k) {
    return std::max(scale.factor * (kOctaves * k - bits) + scale.offset, scale.floor);
  };
  const int first = floor_log2(domain.low) / kOctaves;
  const int whole = (domain.high_bits - 1) / kOctaves;
  int last = whole;
  // Segments that end below the floor are as good as what lies beyond the domain.
  while (open && last > first && exponent_of(last) <= scale.floor) --last;
  std::vector<Segment> out;
  if (open) out.push_back({0, kWindowStart, 0, scale.end, true});
  // Only a check tells 0 from what lies below.
  if (open && checked && scale.zero_allowed) out.push_back({0, kWindowStart, 0, scale.end, false});
  for (int k = first; k <= last; ++k) {
    const int64_t from = int64_t{1} << (kOctaves * k);
    out.push_back({from, 0, kWindowStart >> (kOctaves * k), exponent_of(k), false});
  }
  // The last number of the domain stands for all above.
  const int64_t end = int64_t{1} << (kOctaves * (last + 1));
  if (open) out.push_back({end, kWindowEnd - 1, 0, exponent_of(last), last == whole});
  return out;
}

Piecewise form_of(const std::vector<Segment>& segments, bool checks) {
  Piecewise form{{}, 1, {{kWindowBits, {}}, {kExponentBits, {}}}};
  if (checks) form.outputs.push_back({0, {}});
  for (const Segment& s : segments) {
    if (&s != segments.data()) form.thresholds.push_back(s.from);
    const auto put = [&](int output, int64_t constant, int64_t slope) {
      auto& coefficients = form.outputs[output].coefficients;
      coefficients.insert(coefficients.end(), {constant, slope});
    };
    put(0, s.constant, s.slope);
    put(1, units(s.exponent, kExponentBits), 0);
    if (checks) put(2, s.outside ? 1 : 0, 0);
  }
  return form;
}

struct Logarithm {
  Secret value;  // kExponentBits fraction bits
  double least, largest;
};

Logarithm scaled_log2(Engine& engine, const Secret& x, const SmoothFunction& f, const Scale& scale,
                      const std::optional<Known>& known) {
  const int bits = x.fraction_bits();
  const Known domain = known.value_or(Known{1, std::min(bits + 32, 60)});
  const bool open = !known.has_value();  // to values beyond the domain
  const bool checks = open && engine.checked();
  const auto segments = segments_of(scale, bits, domain, open, checks);
  Secret window = x, whole = x;
  if (segments.size() == 1) {
    window = engine.multiplied(x, segments[0].slope, kWindowBits - bits);
    whole = engine.public_units(units(segments[0].exponent, kExponentBits), kExponentBits);
  } else {
    const auto out = engine.piecewise(x, form_of(segments, checks));
    window = out[0];
    whole = out[1];
    if (checks) check_domain(engine, out[2], "x: a value is not within the domain, (0, 2^32)");
  }
  protocol::Series series;
  series.shape.period_bits = static_cast<uint8_t>(f.period_exponent + kWindowBits);
  series.shape.count = static_cast<uint8_t>(f.harmonics);
  series.shape.odd = f.odd;
  series.outputs = {series_output(f.value, scale.factor, kExponentBits)};
  const Secret fraction = engine.series(engine.multiplied(window, f.kappa, 0), series)[0];
  Logarithm out{engine.add(fraction, whole), segments[0].exponent, segments[0].exponent};
  for (const Segment& s : segments) {
    // The window adds up to kOctaves times the factor, where x is moved into it.
    const double more = s.slope != 0 ? kOctaves * scale.factor : 0;
    out.least = std::min({out.least, s.exponent, s.exponent + more});
    out.largest = std::max({out.largest, s.exponent, s.exponent + more});
  }
  return out;
}

}  // namespace

Secret exp(Engine& engine, const Secret& x_in) {
  const protocol::OperationScope scope(engine.statistics(), "exp");
  const Secret x = with_room(engine, x_in);
  const int bits = x.fraction_bits(), f = engine.precision();
  const int64_t low = units(-std::numbers::ln2 * (f + 2), bits);
  const int64_t high = units(std::numbers::ln2 * (62 - f) - 1.0 / 8192, bits);
  Piecewise form{{low, high}, 1, {{bits, {low, 0, 0, 1, high, 0}}}};
  if (engine.checked()) form.outputs.push_back({0, {0, 0, 0, 0, 1, 0}});
  const auto clamped = engine.piecewise(x, form);
  if (engine.checked()) {
    check_domain(engine, clamped[1], "x: e^x of a value is larger than the encoding can hold");
  }
  constexpr int kBits = 56;  // 64 octaves are 2^62
  const Secret octaves =
      engine.multiplied(clamped[0], units(std::numbers::log2e, kBits - bits), kBits - bits);
  return finished(engine, unrounded(engine.power_of_two(octaves, wide_powers(kBits, f)), true, f));
}

Secret exp_of_negative(Engine& engine, const Secret& clamped) {
  constexpr int kBits = 56;
  const int more = kBits - clamped.fraction_bits();
  const Secret octaves = engine.multiplied(clamped, units(std::numbers::log2e, more), more);
  return engine.power_of_two(octaves, narrow_powers(kBits, -5)).first;
}

Secret log(Engine& engine, const Secret& x, const std::optional<Known>& known) {
  const protocol::OperationScope scope(engine.statistics(), "log");
  const double ln2 = std::numbers::ln2;
  const Scale scale{ln2, 0, -ln2 * x.fraction_bits(), -64, false};
  const auto y = scaled_log2(engine, x, smooth_function("log2"), scale, known);
  return rounded(engine, y.value, kExponentBits - engine.precision());
}

Secret UnroundedPower::sum(Engine& engine, const Secret& rounded_low) const {
  return high ? engine.add(rounded_low, *high) : rounded_low;
}

Secret power(Engine& engine, const Secret& x, double exponent, const PowerOptions& options) {
  return finished(engine, unrounded_power(engine, x, exponent, options));
}

UnroundedPower unrounded_power(Engine& engine, const Secret& x, double exponent,
                               const PowerOptions& options) {
  if (!(exponent >= -1 && exponent <= 1)) {
    throw ConfigError(fmt::format("exponent is {}; allowed are -1 to 1", exponent));
  }
  const protocol::OperationScope scope(engine.statistics(), "power");
  const int f = options.fraction_bits.value_or(engine.precision()), bits = x.fraction_bits();
  const double offset = std::log2(options.factor);
  // So far below one unit of the last place that it is 0.
  const double nothing = -(f + 4.0);
  const double end = exponent > 0 ? nothing : -exponent * bits + offset;
  const auto y = scaled_log2(engine, x, smooth_function(options.precise ? "log2" : "log2_coarse"),
                             {exponent, offset, end, nothing, exponent > 0}, options.known);
  // The error of the logarithm must not reach the next index: it would be read as one far away.
  constexpr double kMargin = 1.0 / 1024;
  const int lowest = index_below(y.least - kMargin), highest = index_below(y.largest + kMargin) + 1;
  const bool wide = highest - lowest >= kStep || y.largest > 16;
  const PowerOfTwo form =
      wide ? wide_powers(kExponentBits, engine.precision()) : narrow_powers(kExponentBits, lowest);
  return unrounded(engine.power_of_two(y.value, form), wide, f);
}

Secret reciprocal(Engine& engine, const Secret& x_in, std::optional<int> fraction_bits) {
  const protocol::OperationScope scope(engine.statistics(), "reciprocal");
  const Secret x = engine.settle(x_in);
  std::optional<Secret> positive;
  const Secret above = engine.relu(x, &positive);
  const Secret magnitude = engine.subtract(engine.add(above, above), x);
  const Secret sign = engine.subtract(engine.add(*positive, *positive), engine.public_units(1, 0));
  PowerOptions options;
  options.fraction_bits = fraction_bits;
  return engine.wide_product({ring::Bilinear::multiply, {}}, sign,
                             power(engine, magnitude, -1, options));
}

Secret quotient(Engine& engine, const Secret& x, const Secret& inverse) {
  const protocol::OperationScope scope(engine.statistics(), "quotient");
  const Secret ratio =
      engine.wide_product({ring::Bilinear::multiply, {}}, engine.settle(x), inverse);
  return rounded(engine, ratio, ratio.fraction_bits() - engine.precision());
}

}  // namespace cryptensor::function
