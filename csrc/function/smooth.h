// SPDX-License-Identifier: MIT
// Sigmoid, tanh, GELU and their like: one comparison with the ends of the window, one opening of
// the clamped value, one truncation.
#pragma once

#include <string>
#include <utility>

#include "function/tables.h"
#include "protocol/engine.h"

namespace cryptensor::function {

// 6 rounds. The error is that of the table and two units of the last place.
protocol::Secret smooth(protocol::Engine& engine, const SmoothFunction& f,
                        const protocol::Secret& x);
// The derivative comes from the same opening. ConfigError where the table has none.
std::pair<protocol::Secret, protocol::Secret> smooth_with_derivative(protocol::Engine& engine,
                                                                     const SmoothFunction& f,
                                                                     const protocol::Secret& x);

// sin and cos for |x| < 2^30: 2 rounds. Error 2^-15 and |x| 2^-38.
std::pair<protocol::Secret, protocol::Secret> sin_cos(protocol::Engine& engine,
                                                      const protocol::Secret& x);

// The series of some coefficients times `factor`, as the engine takes it.
protocol::Series::Output series_output(const Coefficients& c, double factor, int fraction_bits);

}  // namespace cryptensor::function
