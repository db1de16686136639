// SPDX-License-Identifier: MIT
// What each function declares that it costs one party: tests hold the engine to these exactly.
//
// For shared operands with as many fraction bits as the precision, none of them opened before, the
// default truncation, and no checks of the domain.
#pragma once

#include <cstddef>
#include <optional>

#include "function/tables.h"
#include "protocol/cost.h"

namespace cryptensor::function::cost {

using protocol::Cost;

struct Session {
  protocol::Payer payer = 2;
  int precision = 16;
  bool few_rounds = false;
};

// Two thresholds, a series, a truncation (of two values with the derivative): 6 rounds.
Cost smooth(const Session& session, const SmoothFunction& f, size_t n, bool with_derivative);
// A series of one harmonic and a truncation of two values: 2 rounds.
Cost sin_cos(const Session& session, size_t n);

// Two thresholds, sixteen powers, a truncation: 6 rounds.
Cost exp(const Session& session, size_t n);
// Thresholds at the powers of 16 of the domain, a series, a truncation: 6 rounds.
Cost log(const Session& session, size_t n);
// The same thresholds (only as far as the result is not 0), the series, powers, a truncation: 7
// rounds. `fraction_bits`: of the result, none: the precision.
Cost power(const Session& session, size_t n, double exponent,
           std::optional<int> fraction_bits = {});
// A sign, a power and a product: 12 rounds.
Cost reciprocal(const Session& session, size_t n, std::optional<int> fraction_bits = {});
// A product and a truncation: 2 rounds.
Cost quotient(const Session& session, size_t n, int inverse_bits);

// Of n elements in each of `rows` rows.
Cost softmax(const Session& session, size_t rows, size_t n);
Cost log_softmax(const Session& session, size_t rows, size_t n);  // logsumexp as well
Cost standardize(const Session& session, size_t rows, size_t n, double eps);

// A tree of tournaments, where it has many groups of comparisons: 4 rounds a level. The places of
// the first level are public, which makes its product free: 1 round more for each level but that.
Cost largest(const Session& session, size_t rows, size_t n, bool with_index);
// 4 rounds for each stage of the network, 5 with indices.
Cost sort(const Session& session, size_t rows, size_t n, bool with_indices);
// 1 round a stage: the decisions of a sort have been opened by the sort.
Cost unsort(const Session& session, size_t rows, size_t n);

}  // namespace cryptensor::function::cost
