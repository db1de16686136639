// SPDX-License-Identifier: MIT
// Piecewise polynomials with real thresholds and coefficients.
#pragma once

#include <vector>

#include "protocol/engine.h"

namespace cryptensor::function {

// The coefficients of 1, x, x^2, x^3 on one piece; missing ones are 0.
using Polynomial = std::vector<double>;

// One value for each output: its polynomial on the piece that x is in. Piece 0 is x <
// thresholds[0], piece p is thresholds[p - 1] <= x < thresholds[p].
//
// 4 rounds for all thresholds and outputs together. Where a piece has degree 2 or 3, x settles
// first and those pieces are truncated after: 2 rounds more; their values must stay below 2^12 at
// 16 fraction bits. Integers give no fraction bits, and integer slopes those of x; otherwise the
// result is pending. Error: that of rounding coefficients to the precision, and of truncations.
std::vector<protocol::Secret> piecewise(protocol::Engine& engine, const protocol::Secret& x,
                                        const std::vector<double>& thresholds,
                                        const std::vector<std::vector<Polynomial>>& outputs);

}  // namespace cryptensor::function
