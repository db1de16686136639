// SPDX-License-Identifier: MIT
// Softmax and its relatives, and standardization.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/engine.h"

namespace cryptensor::function {

// Along `dim`, for fewer than 2^15 elements. A maximum, an exponential and one reciprocal a row: 13
// rounds and those of the maximum. Error 2^-14.
protocol::Secret softmax(protocol::Engine& engine, const protocol::Secret& x, int64_t dim);
// max + ln(sum of e^(x - max)); `dim` is removed. Error 2^-14.
protocol::Secret logsumexp(protocol::Engine& engine, const protocol::Secret& x, int64_t dim);
protocol::Secret log_softmax(protocol::Engine& engine, const protocol::Secret& x, int64_t dim);

// (x - mean) / sqrt(variance + eps) over the last dimension, times `weight` where there is one,
// with mean and 1 / sqrt(...), which keep it as a dimension of size 1. The variance is the biased
// one, below 2^28 / n. 12 rounds, 11 where x is still to be truncated; a weight takes none of its
// own but its opening, once. eps > 0.
struct Standardized {
  protocol::Secret values, mean, inverse_deviation;
};
Standardized standardize(protocol::Engine& engine, const protocol::Secret& x, double eps,
                         const std::optional<protocol::Secret>& weight = {});

}  // namespace cryptensor::function
