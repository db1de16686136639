// SPDX-License-Identifier: MIT
// Sums and products that a program asks for. In checked mode a result that leaves the range of the
// encoding raises RangeError on every party, see csrc/fixedpoint/README.md; otherwise these are the
// operations of the engine and cost nothing more. Functions of this folder, whose ranges are known,
// call the engine itself.
#pragma once

#include "protocol/engine.h"

namespace cryptensor::function {

// Whether each sum lies in the range; of sums of many terms, whether each of their prefixes does.
// One comparison for each.
protocol::Secret add(protocol::Engine& engine, const protocol::Secret& a,
                     const protocol::Secret& b);
protocol::Secret subtract(protocol::Engine& engine, const protocol::Secret& a,
                          const protocol::Secret& b);
protocol::Secret sum(protocol::Engine& engine, const protocol::Secret& a, at::IntArrayRef dims,
                     bool keepdim);
protocol::Secret cumulative_sum(protocol::Engine& engine, const protocol::Secret& a, int64_t dim);

// A difference of which only the sign or whether it is zero matters: no two values in the range are
// so far apart that it would wrap, so nothing is checked.
protocol::Secret difference(protocol::Engine& engine, const protocol::Secret& a,
                            const protocol::Secret& b);

// With a public factor: whether each element is so small that no product with the largest of the
// factors, times the number of terms, leaves the range; two comparisons for each. Otherwise: each
// operand below 2^(60 - log2 of the number of terms) in units of its last place, and each result in
// the range, exactly: four more products, four exact truncations and three pairs of comparisons.
protocol::Secret scale(protocol::Engine& engine, const protocol::Secret& a, double factor);
protocol::Secret product(protocol::Engine& engine, const ring::BilinearMap& map,
                         const protocol::Secret& a, const protocol::Secret& b);
protocol::Secret square(protocol::Engine& engine, const protocol::Secret& a);

// Beside a pending product a value has fewer bits above the point than the range: in checked mode
// products come back settled, and what is joined settles first.
std::vector<protocol::Secret> aligned(protocol::Engine& engine,
                                      const std::vector<protocol::Secret>& values);

}  // namespace cryptensor::function
