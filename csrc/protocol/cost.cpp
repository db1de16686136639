// SPDX-License-Identifier: MIT
#include "protocol/cost.h"

#include <algorithm>
#include <bit>

#include "correlation/equality_layout.h"
#include "correlation/selection_layout.h"
#include "protocol/additive/engine.h"
#include "protocol/replicated/engine.h"

namespace cryptensor::protocol {

Payer::Payer(const Engine& engine)
    : parties(engine.parties()),
      replicated(dynamic_cast<const replicated::ReplicatedEngine*>(&engine) != nullptr),
      rank(engine.rank()) {}

namespace cost {
namespace {

using correlation::Comparison;
using correlation::ComparisonLayout;

Cost comparison(size_t n, int parties, Comparison mode, int shift) {
  const ComparisonLayout layout(n, mode, shift);
  return {static_cast<uint64_t>(layout.rounds()), layout.opened_bytes() * (parties - 1),
          layout.correction_bytes};
}

}  // namespace

Cost relu(size_t n, int parties, int shift) {
  return comparison(n, parties, shift > 0 ? Comparison::relu_truncate : Comparison::relu, shift);
}

Cost at_least_zero(size_t n, int parties) { return comparison(n, parties, Comparison::sign, 0); }

Cost truncate(Truncation kind, size_t n, int parties, int bits) {
  const uint64_t peers = parties - 1;
  switch (kind) {
    case Truncation::local:
      return {};
    case Truncation::one_bit:
      return {1, 8 * ((n + 63) / 64), n * correlation::low_word_bytes(bits)};
    case Truncation::interactive:
      return {1, 8 * n * peers, n * (8 + correlation::low_word_bytes(bits))};
    case Truncation::exact: {
      Cost total;
      for (int left = bits; left > 0; left -= 16) {
        total += comparison(n, parties, Comparison::low_bits, std::min(left, 16));
      }
      return total;
    }
  }
  return {};
}

Cost product(size_t left, size_t right, size_t out, int parties) {
  return {1, 8 * (left + right) * (parties - 1), 8 * out};
}

OneWay owned_product(size_t known, bool known_is_open, size_t sent, size_t out, int parties) {
  return {{1, known_is_open ? 0 : 8 * known * (parties - 1), 8 * out}, {1, 8 * sent, 8 * out}};
}

Cost square(size_t n, int parties) { return {1, 8 * n * (parties - 1), 8 * n}; }

Cost reveal(size_t n, int parties) { return {1, 8 * n * (parties - 1), 0}; }

Cost piecewise(size_t n, int parties, const std::vector<int64_t>& thresholds, int degree) {
  const correlation::SegmentsLayout layout(n, additive::relative_thresholds(thresholds), degree);
  return {layout.kRounds, layout.opened_bytes() * (parties - 1), layout.correction_bytes};
}

Cost series(size_t n, int parties, int harmonics) {
  return {1, 8 * n * (parties - 1), correlation::CharactersLayout(n).field_bytes() * 2 * harmonics};
}

Cost power_of_two(size_t n, int parties, int entries) {
  return {1, 8 * n * (parties - 1), correlation::CharactersLayout(n).field_bytes() * entries};
}

Cost is_zero(size_t n, int parties) {
  const correlation::EqualityLayout layout(n);
  return {layout.kRounds, layout.opened_bytes() * (parties - 1), layout.correction_bytes};
}

ByParty one_hot(size_t n, int parties, size_t size) {
  const correlation::OneHotLayout table(n, size);
  const uint64_t opened = 8 * n * (parties - 1);
  if (parties > 2 || table.span < correlation::OneHotLayout::kCompactSpan) {
    const Cost both{1, opened, table.correction_bytes()};
    return {both, both};
  }
  const correlation::PointLayout point(n, std::countr_zero(table.span));
  const uint64_t dealt = point.correction_bytes();
  return {{1, opened + 8 * n * point.words, dealt}, {1, opened, dealt}};
}

Cost choose(size_t n, int parties) {
  return {1, 16 * n * (parties - 1), correlation::ChoiceLayout(n).correction_bytes()};
}

Cost tournament(size_t groups, int parties) {
  const correlation::TournamentLayout layout(groups);
  return {static_cast<uint64_t>(layout.comparison.rounds()),
          layout.comparison.opened_bytes() * (parties - 1), layout.correction_bytes};
}

}  // namespace cost
}  // namespace cryptensor::protocol
