// SPDX-License-Identifier: MIT
#include "function/cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "function/order.h"
#include "protocol/replicated/cost.h"

namespace cryptensor::function::cost {
namespace {

using protocol::Truncation;
namespace primitive = protocol::cost;

constexpr int kExponentBits = 54;

struct Total : Cost {
  explicit Total(const Session& s) : session(s), payer(s.payer) {}
  Total& add(const Cost& more) {
    *this += more;
    return *this;
  }
  // What the parties pay among whom the operands are shared.
  Total& shared(const Cost& more) { return add(payer.part_of(more)); }
  Total& truncate(size_t n, int bits) {
    const auto kind = sharers() == 2 ? Truncation::one_bit : Truncation::interactive;
    return bits > 0 ? shared(primitive::truncate(kind, n, sharers(), bits)) : *this;
  }
  // Beside another truncation: in its round.
  Total& truncate_too(size_t n, int bits) {
    const uint64_t before = rounds;
    truncate(n, bits).rounds = before;
    return *this;
  }
  Total& piecewise(size_t n, const std::vector<int64_t>& thresholds) {
    if (thresholds.empty()) return *this;
    return shared(primitive::piecewise(n, sharers(), thresholds, 1));
  }
  Total& series(size_t n, int harmonics) {
    return shared(primitive::series(n, sharers(), harmonics));
  }
  Total& power_of_two(size_t n, int entries) {
    return shared(primitive::power_of_two(n, sharers(), entries));
  }
  Total& relu(size_t n) { return shared(primitive::relu(n, sharers(), 0)); }
  // `right_owner`: is the right operand a product itself, so that all parties have a part of it?
  Total& product(size_t left, size_t right, size_t out, int right_owner = protocol::kPair) {
    if (!payer.replicated) return add(primitive::product(left, right, out, payer.parties));
    return add(protocol::replicated::cost::product({{left}, {right, right_owner}}, payer.rank));
  }
  Total& square(size_t n) {
    if (!payer.replicated) return add(primitive::square(n, payer.parties));
    return add(protocol::replicated::cost::product({{n}}, payer.rank));
  }
  // What is not a product goes on with the result of one.
  Total& handed_over(size_t n) {
    if (!payer.replicated) return *this;
    return add(protocol::replicated::cost::handover(n, payer.rank));
  }
  int sharers() const { return payer.sharers(); }
  Session session;
  protocol::Payer payer;
};

int64_t units(double value, int fraction_bits) {
  return std::llround(std::ldexp(value, fraction_bits));
}

// 16^first, ..., 16^last.
std::vector<int64_t> powers_of_16(int first, int last) {
  std::vector<int64_t> out;
  for (int k = first; k <= last; ++k) out.push_back(int64_t{1} << (4 * k));
  return out;
}

int segment_of(int bit) { return bit / 4; }

// Segments [16^k, 16^(k + 1)) of x with `bits` fraction bits, and the exponents of two that a power
// of x has.
struct Domain {
  int first, last;
  double least, largest;
  std::vector<int64_t> thresholds;
};

double octaves_of(int segment, int bits) { return 4.0 * segment - bits; }

// Of any x: the thresholds 1 and that of the end of the domain come on top.
Domain whole_domain(int bits, double exponent, double floor) {
  const auto at = [&](int segment) { return exponent * octaves_of(segment, bits); };
  Domain d{0, segment_of(std::min(bits + 32, 60) - 1), 0, 0, {}};
  while (d.last > 0 && at(d.last) <= floor) --d.last;
  const double low = std::max(at(0), floor), high = std::max(at(d.last), floor);
  const double of_zero = exponent > 0 ? floor : -exponent * bits;
  d.least = std::min({std::min(low, high) + 4 * std::min(exponent, 0.0), of_zero});
  d.largest = std::max({std::max(low, high) + 4 * std::max(exponent, 0.0), of_zero});
  d.thresholds = powers_of_16(0, d.last + 1);
  return d;
}

Domain known_domain(int bits, double exponent, double offset, double floor, int64_t low,
                    int high_bits) {
  Domain d{segment_of(63 - std::countl_zero(static_cast<uint64_t>(std::max<int64_t>(low, 1)))),
           segment_of(high_bits - 1),
           0,
           0,
           {}};
  const double a = std::max(exponent * octaves_of(d.first, bits) + offset, floor);
  const double b = std::max(exponent * octaves_of(d.last, bits) + offset, floor);
  d.least = std::min(a, b) + 4 * std::min(exponent, 0.0);
  d.largest = std::max(a, b) + 4 * std::max(exponent, 0.0);
  d.thresholds = powers_of_16(d.first + 1, d.last);
  return d;
}

// Powers of two between 2^least and 2^largest: eight entries of eight octaves where they reach.
struct Powers {
  int entries, low_bits;
};
Powers powers_of(const Domain& d) {
  const double steps = std::floor(d.largest / 8) + 1 - std::floor(d.least / 8);
  return steps >= 8 || d.largest > 16 ? Powers{16, 36} : Powers{8, 44};
}

Cost power_in(const Session& session, size_t n, const Domain& domain, const char* table,
              int fraction_bits) {
  const Powers powers = powers_of(domain);
  return Total(session)
      .piecewise(n, domain.thresholds)
      .series(n, smooth_function(table).harmonics)
      .power_of_two(n, powers.entries)
      .truncate(n, powers.low_bits - fraction_bits);
}

int series_bits(const Session& session) { return std::min(session.precision + 38, 54); }

// e^(x - max) of rows: 44 fraction bits, and their sums are between 1/2 and 2^(1 + width of n).
constexpr int kPowerBits = 44;
Cost exponentials(const Session& session, size_t rows, size_t n) {
  return Total(session)
      .add(largest(session, rows, n, false))
      .relu(rows * n)
      .power_of_two(rows * n, 8);
}
Domain sums_of_exponentials(size_t n, double exponent, double floor) {
  return known_domain(kPowerBits, exponent, 0, floor, int64_t{1} << (kPowerBits - 1),
                      kPowerBits + 1 + static_cast<int>(std::bit_width(n)));
}

}  // namespace

Cost smooth(const Session& session, const SmoothFunction& f, size_t n, bool with_derivative) {
  const int p = session.precision;
  return Total(session)
      .piecewise(n, {units(f.low, p), units(f.high, p)})
      .series(n, f.harmonics)
      .truncate(n, series_bits(session) - p)
      .truncate_too(with_derivative ? n : 0, series_bits(session) - p);
}

Cost sin_cos(const Session& session, size_t n) {
  const int drop = series_bits(session) - session.precision;
  return Total(session).series(n, 1).truncate(n, drop).truncate_too(n, drop);
}

Cost exp(const Session& session, size_t n) {
  const int p = session.precision;
  const double ln2 = std::numbers::ln2;
  return Total(session)
      .piecewise(n, {units(-ln2 * (p + 2), p), units(ln2 * (62 - p) - 1.0 / 8192, p)})
      .power_of_two(n, 16)
      .truncate(n, 36 - p);
}

Cost log(const Session& session, size_t n) {
  const int p = session.precision;
  const Domain domain = whole_domain(p, std::numbers::ln2, -64);
  return Total(session)
      .piecewise(n, domain.thresholds)
      .series(n, smooth_function("log2").harmonics)
      .truncate(n, kExponentBits - p);
}

Cost power(const Session& session, size_t n, double exponent, std::optional<int> fraction_bits) {
  const int f = fraction_bits.value_or(session.precision);
  // Below 2^-(f + 4) nothing is left of a result.
  return power_in(session, n, whole_domain(session.precision, exponent, -(f + 4.0)), "log2_coarse",
                  f);
}

Cost reciprocal(const Session& session, size_t n, std::optional<int> fraction_bits) {
  return Total(session).relu(n).add(power(session, n, -1, fraction_bits)).product(n, n, n);
}

Cost quotient(const Session& session, size_t n, int inverse_bits) {
  // An inverse is a product itself.
  return Total(session)
      .product(n, n, n, protocol::kShared)
      .handed_over(n)
      .truncate(n, inverse_bits);
}

Cost softmax(const Session& session, size_t rows, size_t n) {
  constexpr int kBits = 24;  // of both factors of the quotient
  return Total(session)
      .add(exponentials(session, rows, n))
      .add(power_in(session, rows, sums_of_exponentials(n, -1, -(kBits + 4.0)), "log2", kBits))
      .truncate_too(rows * n, kPowerBits - kBits)
      .product(rows * n, rows, rows * n)
      .handed_over(rows * n)
      .truncate(rows * n, 2 * kBits - session.precision);
}

Cost log_softmax(const Session& session, size_t rows, size_t n) {
  return Total(session)
      .add(exponentials(session, rows, n))
      .piecewise(rows, sums_of_exponentials(n, std::numbers::ln2, -64).thresholds)
      .series(rows, smooth_function("log2").harmonics)
      .truncate(rows, kExponentBits - session.precision);
}

Cost standardize(const Session& session, size_t rows, size_t n, double eps) {
  const int p = session.precision, ratio_bits = std::min(24, 40 - p / 2);
  constexpr int kMeanBits = 20;
  const auto least = static_cast<int64_t>(std::ldexp(static_cast<double>(n) * eps, 2 * p));
  const Domain domain = known_domain(2 * p, -0.5, 0.5 * std::log2(static_cast<double>(n)),
                                     -(ratio_bits + 4.0), least, 60);
  Total total(session);
  // 1 / n is rounded unless n is a power of two: then the mean is corrected once.
  for (int times = std::has_single_bit(n) ? 1 : 2; times > 0; --times) {
    total.truncate(rows, kMeanBits);
  }
  total.square(rows * n).handed_over(rows);
  total.add(power_in(session, rows, domain, "log2", ratio_bits));
  // The centred rows are open already, from their squares.
  total.product(0, rows, rows * n);
  return total.handed_over(rows * n).truncate(rows * n, ratio_bits);
}

Cost largest(const Session& session, size_t rows, size_t n, bool with_index) {
  Total total(session);
  int places = protocol::kPublic;
  const auto choose_place = [&](size_t products) {
    const bool is_product = places != protocol::kPublic;
    if (with_index && is_product) total.product(products, products, products, places);
    places = is_product ? protocol::kShared : protocol::kPair;
  };
  while (n > 1) {
    const size_t size = group_size(n);
    if (session.few_rounds && n > 4 && n * rows / 2 * (size - 1) <= kMostGames) {
      const size_t groups = (n + size - 1) / size * rows;
      total.shared(primitive::at_least_zero(size * (size - 1) / 2 * groups, total.sharers()));
      total.shared(primitive::choose(size * groups, total.sharers()));
      choose_place(size * groups);
      n = groups / rows;
      continue;
    }
    const bool fours = session.few_rounds || n * rows / 2 <= static_cast<size_t>(kManyPairs);
    if (n == 2 || !fours) {
      const size_t pairs = n / 2;
      total.relu(pairs * rows);
      choose_place(pairs * rows);
      n -= pairs;
    } else {
      // Two or three that are left over make a group of their own; one waits.
      const size_t groups = (n + 2) / 4, waiting = n % 4 == 1 ? 1 : 0;
      total.shared(primitive::tournament(groups * rows, total.sharers()));
      choose_place(3 * groups * rows);
      n = groups + waiting;
    }
  }
  return total;
}

namespace {

// The pairs of each stage of Batcher's merge exchange.
std::vector<size_t> pairs_of_stages(size_t n) {
  std::vector<size_t> out;
  if (n < 2) return out;
  const size_t top = std::bit_ceil(n) / 2;
  for (size_t p = top; p > 0; p /= 2) {
    const auto stage = [&](size_t distance, size_t r) {
      size_t pairs = 0;
      for (size_t i = 0; i + distance < n; ++i) pairs += (i & p) == r;
      if (pairs > 0) out.push_back(pairs);
    };
    stage(p, 0);
    for (size_t q = top; q > p; q /= 2) stage(q - p, p);
  }
  return out;
}

}  // namespace

Cost sort(const Session& session, size_t rows, size_t n, bool with_indices) {
  Total total(session);
  int places = protocol::kPair;
  for (const size_t pairs : pairs_of_stages(n)) {
    const size_t m = pairs * rows;
    total.relu(m);
    if (with_indices) total.product(m, m, m, std::exchange(places, protocol::kShared));
  }
  return total;
}

Cost unsort(const Session& session, size_t rows, size_t n) {
  Total total(session);
  int values = protocol::kPair;
  for (const size_t pairs : pairs_of_stages(n)) {
    const size_t m = pairs * rows;
    total.product(0, m, m, std::exchange(values, protocol::kShared));
  }
  return total;
}

}  // namespace cryptensor::function::cost
