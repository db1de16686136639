// SPDX-License-Identifier: MIT
// What an engine evaluates on a secret in one run: public descriptions in integers of the ring.
#pragma once

#include <cstdint>
#include <vector>

#include "correlation/characters.h"

namespace cryptensor::protocol {

// Polynomials on the pieces between thresholds; all outputs share the comparisons.
struct Piecewise {
  std::vector<int64_t> thresholds;  // ascending, in units of the last place of x
  int degree = 1;
  struct Output {
    int fraction_bits;
    // (thresholds + 1) * (degree + 1): piece by piece, the coefficients of 1, x, x^2, x^3. Piece 0
    // lies below the first threshold.
    std::vector<int64_t> coefficients;
  };
  std::vector<Output> outputs;
};

// constant + sum over the harmonics of cosines[h] cos(n x) + sines[h] sin(n x).
struct Series {
  correlation::Harmonics shape;
  struct Output {
    int fraction_bits;
    int64_t constant;                     // at fraction_bits
    std::vector<int64_t> cosines, sines;  // at fraction_bits - correlation::kWaveBits
  };
  std::vector<Output> outputs;
};

// 2^x for x with shape.fraction_bits. Results below 2^(split * shape.step()) are the low ones, with
// low_bits fraction bits; the rest are the high ones. Each result is in one, the other is 0 there.
struct PowerOfTwo {
  correlation::Octaves shape;
  int lowest;  // x >= lowest * shape.step()
  int split;
  int low_bits, high_bits;
};

}  // namespace cryptensor::protocol
