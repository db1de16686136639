// SPDX-License-Identifier: MIT
// Exponentials, logarithms and powers. A positive x is moved to [1, 16) by the power of 16 that
// thresholds find, a series gives its logarithm, and an exponential of that gives x^a.
//
// The domain of logarithms and powers: from the smallest positive number to 2^32 (2^(60 - fraction
// bits) if that is less). What lies below or above counts as the end of the domain, or raises in
// checked mode.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/engine.h"

namespace cryptensor::function {

// What is known of x, in units of its last place: low <= x < 2^high_bits.
struct Known {
  int64_t low;
  int high_bits;
};

// The absolute error of a power or exponential is never below 2^-16.5, whatever the precision.

// e^x: 6 rounds. 2^(62 - precision) less 2^-12 of it from ln of that on, 0 below -ln 2 (precision +
// 2). Relative error 2^-12, and two units of the last place.
protocol::Secret exp(protocol::Engine& engine, const protocol::Secret& x);
// The same of x <= 0, untruncated, with absolute error 2^-22: 1 round behind a clamp at -24.
protocol::Secret exp_of_negative(protocol::Engine& engine, const protocol::Secret& clamped);

// ln x: 6 rounds. Error 2^-16 and two units.
protocol::Secret log(protocol::Engine& engine, const protocol::Secret& x,
                     const std::optional<Known>& known = {});

// factor * x^exponent for |exponent| <= 1: 7 rounds. 0 for x <= 0 where the exponent is positive.
// Relative error 2^-11.6, and two units of the last place. `fraction_bits`: of the result, none:
// the precision.
struct PowerOptions {
  std::optional<Known> known = {};
  double factor = 1;
  std::optional<int> fraction_bits = {};
  bool precise = false;  // relative error 2^-14.5, for 50 % more of the series' randomness
};
protocol::Secret power(protocol::Engine& engine, const protocol::Secret& x, double exponent,
                       const PowerOptions& options = {});

// The same before its last round, in which others may be truncated as well.
struct UnroundedPower {
  protocol::Cut low;
  std::optional<protocol::Secret> high;  // of a wide range: to be added
  protocol::Secret sum(protocol::Engine& engine, const protocol::Secret& rounded_low) const;
};
UnroundedPower unrounded_power(protocol::Engine& engine, const protocol::Secret& x, double exponent,
                               const PowerOptions& options);

// 1 / x for either sign: 12 rounds. For x = 0 the reciprocal of the smallest positive number.
// `fraction_bits`: of the result, none: the precision.
protocol::Secret reciprocal(protocol::Engine& engine, const protocol::Secret& x,
                            std::optional<int> fraction_bits = {});

// x / y from 1 / y with kInverseBits, for |x / y| < 2^25: 2 rounds. The error of the reciprocal,
// and |x| 2^-20 and one unit.
constexpr int kInverseBits = 20;
protocol::Secret quotient(protocol::Engine& engine, const protocol::Secret& x,
                          const protocol::Secret& inverse);

}  // namespace cryptensor::function
