// SPDX-License-Identifier: MIT
// Smooth functions as trigonometric series on a window, with straight lines beyond it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cryptensor::function {

constexpr int kCoefficientBits = 40;

struct Coefficients {
  int64_t constant = 0;  // multiples of 2^-kCoefficientBits, like the others
  std::vector<int64_t> cosines, sines;
  double error = 0;  // proven by tools/fit_functions.py, for all real x
};

// linear * x + series(x) in [low, high), of period 2^period_exponent / kappa; beyond it a line of
// the slope left or right that continues the value at the end. The derivative has neither line.
struct SmoothFunction {
  const char* name;
  double low, high;
  int left, right;
  double linear;
  int period_exponent, kappa;
  int harmonics;
  bool odd;
  Coefficients value, derivative;
  bool has_derivative() const { return !derivative.cosines.empty(); }
};

// Throws ConfigError for a name that is not in the table.
const SmoothFunction& smooth_function(const std::string& name);

}  // namespace cryptensor::function
