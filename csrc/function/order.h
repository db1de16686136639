// SPDX-License-Identifier: MIT
// Largest values, their places, and sorting.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "protocol/engine.h"

namespace cryptensor::function {

// Comparisons of a level from which on the time of the comparisons outweighs that of the rounds.
constexpr int64_t kManyPairs = 8192;

// The largest along `dim`, which is removed: 4 rounds for each level of a tree of fan-in two where
// there are many pairs, and of fan-in four where a round costs more than a comparison. Where rounds
// are scarce, everybody is compared with everybody in groups of up to 16: 5 rounds a level, and
// half of a group's size as many comparisons as elements. ShapeError for an empty dimension.
protocol::Secret largest(protocol::Engine& engine, const protocol::Secret& x, int64_t dim);

// Of values that may stay untruncated, for who needs it to one or a few units of the last place.
protocol::Secret unsettled_largest(protocol::Engine& engine, const protocol::Secret& x,
                                   int64_t dim);

// The size of groups for `count` candidates with which the fewest levels are left, and the fewest
// comparisons in these; and how many comparisons a level may have.
int64_t group_size(int64_t count);
constexpr int64_t kMostGames = int64_t{1} << 24;

// With the place of the first of them, no fraction bits: 1 more round for a level.
std::pair<protocol::Secret, protocol::Secret> largest_with_index(protocol::Engine& engine,
                                                                 const protocol::Secret& x,
                                                                 int64_t dim);

// A sorting network's decisions, to send gradients back where the values came from.
struct SortingNetwork {
  int64_t dim = 0;
  struct Stage {
    std::vector<int64_t> first, second;
    protocol::Secret kept;  // [first stays first], one row for each pair
  };
  std::vector<Stage> stages;
};

struct Sorted {
  protocol::Secret values;
  std::optional<protocol::Secret> indices;
  std::optional<SortingNetwork> network;
};

// Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2 M): about log2(n)^2 / 2
// stages of 4 rounds, 5 with indices. Equal values keep no order.
Sorted sort(protocol::Engine& engine, const protocol::Secret& x, int64_t dim, bool descending,
            bool with_indices);

// Moves elements of the sorted order to where they were before. 1 round for each stage.
protocol::Secret unsort(protocol::Engine& engine, const SortingNetwork& network,
                        const protocol::Secret& sorted);

}  // namespace cryptensor::function
