// SPDX-License-Identifier: MIT
#include "function/order.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <cmath>

#include "core/errors.h"
#include "function/smooth.h"

namespace cryptensor::function {
namespace {

using protocol::Engine;
using protocol::Secret;

const ring::BilinearMap kMultiply{ring::Bilinear::multiply, {}};

int64_t checked_dim(const Secret& x, int64_t dim) {
  const auto dims = static_cast<int64_t>(x.sizes().size());
  if (dim < -dims || dim >= dims) {
    throw ShapeError(fmt::format("dim is {}; allowed are {} to {}", dim, -dims, dims - 1));
  }
  return dim < 0 ? dim + dims : dim;
}

// A copy with `dim` in front.
Secret in_front(const Secret& x, int64_t dim) {
  return Secret(x.share().movedim(dim, 0).contiguous(), x.fraction_bits(), x.owner());
}

Secret rows(const Secret& x, int64_t from, int64_t count) {
  return Secret(x.share().narrow(0, from, count).contiguous(), x.fraction_bits(), x.owner());
}

Secret joined(Engine& engine, const std::vector<Secret>& parts) {
  const auto aligned = engine.aligned(parts);
  std::vector<at::Tensor> shares;
  for (const Secret& part : aligned) shares.push_back(part.share());
  return engine.combined(aligned, at::cat(shares));
}

Secret picked(const Secret& x, const at::Tensor& positions) {
  return Secret(x.share().index_select(0, positions), x.fraction_bits(), x.owner());
}

// Candidates along the first dimension; places are tracked where they are given.
struct Candidates {
  Secret values;
  std::optional<Secret> places;
  int64_t count() const { return values.sizes()[0]; }
};

// The first half against the second; an odd one waits.
Candidates play_pairs(Engine& engine, const Candidates& c) {
  const int64_t half = c.count() / 2, rest = c.count() - 2 * half;
  // Neighbours, so that of equal ones the first wins.
  const auto every_second = [&](const Secret& x, int64_t from) {
    return Secret(x.share().narrow(0, 0, 2 * half).slice(0, from, std::nullopt, 2).contiguous(),
                  x.fraction_bits(), x.owner());
  };
  const Secret a = every_second(c.values, 0), b = every_second(c.values, 1);
  std::optional<Secret> first;
  const Secret larger =
      engine.add(engine.relu(engine.subtract(a, b), c.places ? &first : nullptr), b);
  std::vector<Secret> values{larger}, places;
  if (rest > 0) values.push_back(rows(c.values, 2 * half, rest));
  if (c.places) {
    places.push_back(engine.select(*first, every_second(*c.places, 0), every_second(*c.places, 1)));
    if (rest > 0) places.push_back(rows(*c.places, 2 * half, rest));
  }
  return {joined(engine, values), c.places ? std::optional(joined(engine, places)) : std::nullopt};
}

// Fours; what is left over is filled up with the last, except for a single one, which waits.
Candidates play_fours(Engine& engine, const Candidates& c) {
  const int64_t whole = c.count() / 4, rest = c.count() % 4;
  const int64_t groups = whole + (rest >= 2 ? 1 : 0);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t g = 0; g < groups; ++g) order.push_back(std::min(4 * g + i, c.count() - 1));
  }
  const at::Tensor picks = at::tensor(order, at::kLong);
  const auto fours = [&](const Secret& x) {
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes[0] = groups;
    sizes.insert(sizes.begin(), 4);
    return Secret(x.share().index_select(0, picks).reshape(sizes), x.fraction_bits(), x.owner());
  };
  const auto won = engine.tournament(fours(c.values));
  std::vector<Secret> values{won.largest}, places;
  if (rest == 1) values.push_back(rows(c.values, c.count() - 1, 1));
  if (c.places) {
    // place = last + sum of wins * (place - last), all three in one product.
    const Secret all = fours(*c.places);
    const auto place = [&](int64_t i) {
      return Secret(all.share().select(0, i).contiguous(), 0, all.owner());
    };
    const Secret last = place(3);
    std::vector<Secret> wins, differences;
    for (int i = 0; i < 3; ++i) {
      const auto as_row = [](const Secret& x) {
        return Secret(x.share().unsqueeze(0), x.fraction_bits(), x.owner());
      };
      wins.push_back(as_row(won.wins[i]));
      differences.push_back(as_row(engine.subtract(place(i), last)));
    }
    const Secret moved =
        engine.product(kMultiply, joined(engine, wins), joined(engine, differences));
    places.push_back(engine.add(engine.sum(moved, {0}, false), last));
    if (rest == 1) places.push_back(rows(*c.places, c.count() - 1, 1));
  }
  return {joined(engine, values), c.places ? std::optional(joined(engine, places)) : std::nullopt};
}

// Everybody against everybody in groups of `size`: who wins all games is the largest of its group.
// A group that is not full is filled up with the last, which loses to itself before it.
Candidates play_groups(Engine& engine, const Candidates& c, int64_t size) {
  const int64_t groups = (c.count() + size - 1) / size;
  std::vector<int64_t> order, first, second;
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t g = 0; g < groups; ++g) order.push_back(std::min(size * g + i, c.count() - 1));
    for (int64_t j = i + 1; j < size; ++j) {
      first.push_back(i);
      second.push_back(j);
    }
  }
  const at::Tensor picks = at::tensor(order, at::kLong), a = at::tensor(first, at::kLong),
                   b = at::tensor(second, at::kLong);
  const auto grouped = [&](const Secret& x) {
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes[0] = groups;
    sizes.insert(sizes.begin(), size);
    return Secret(x.share().index_select(0, picks).reshape(sizes), x.fraction_bits(), x.owner());
  };
  const Secret values = grouped(c.values);
  const Secret won = engine.at_least_zero(engine.subtract(picked(values, a), picked(values, b)));
  // Games won: those as the first of a pair, and those as the second less the first one's.
  at::Tensor games = at::zeros_like(values.share());
  games.index_add_(0, a, won.share());
  games.index_add_(0, b, won.share().neg());
  std::vector<int64_t> column(games.dim(), 1);
  column[0] = size;
  const Secret as_second(at::arange(size, at::kLong).reshape(column), 0, protocol::kPublic);
  const Secret score = engine.add(Secret(games, 0, won.owner()), as_second);
  const auto choice = engine.choose(score, values, size - 1);
  Candidates out{engine.sum(choice.value, {0}, false), std::nullopt};
  if (c.places) {
    const Secret places = engine.product(kMultiply, choice.chosen, grouped(*c.places));
    out.places = engine.sum(places, {0}, false);
  }
  return out;
}

Candidates play_all(Engine& engine, Candidates c) {
  while (c.count() > 1) {
    const int64_t pairs = c.values.numel() / 2, size = group_size(c.count());
    if (engine.few_rounds() && c.count() > 4 && pairs * (size - 1) <= kMostGames) {
      c = play_groups(engine, c, size);
      continue;
    }
    const bool fours = engine.few_rounds() || pairs <= kManyPairs;
    c = c.count() == 2 || !fours ? play_pairs(engine, c) : play_fours(engine, c);
  }
  return c;
}

Secret first_row(const Secret& x) {
  return Secret(x.share().select(0, 0).clone(), x.fraction_bits(), x.owner());
}

Candidates candidates(const Secret& x, int64_t dim) {
  const int64_t d = checked_dim(x, dim);
  if (x.sizes()[d] == 0) {
    throw ShapeError(fmt::format("dim {} has no elements; a largest one needs at least 1", dim));
  }
  return {in_front(x, d), std::nullopt};
}

// Pairs of positions that one stage compares: all of them disjoint.
std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>> merge_exchange(int64_t n) {
  std::vector<std::pair<std::vector<int64_t>, std::vector<int64_t>>> stages;
  if (n < 2) return stages;
  int64_t top = 1;
  while (2 * top < n) top *= 2;
  for (int64_t p = top; p > 0; p /= 2) {
    int64_t q = top, r = 0, d = p;
    while (true) {
      auto& [first, second] = stages.emplace_back();
      for (int64_t i = 0; i + d < n; ++i) {
        if ((i & p) != r) continue;
        first.push_back(i);
        second.push_back(i + d);
      }
      if (first.empty()) stages.pop_back();
      if (q == p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
  return stages;
}

// x with rows replaced, all rows of the two sets.
Secret placed(const Secret& x, const at::Tensor& first, const Secret& a, const at::Tensor& second,
              const Secret& b) {
  at::Tensor share = x.share().clone();
  share.index_copy_(0, first, a.share());
  share.index_copy_(0, second, b.share());
  const int owner = protocol::owner_of_both(a.owner(), b.owner());
  return Secret(share, x.fraction_bits(), protocol::owner_of_both(x.owner(), owner));
}

}  // namespace

int64_t group_size(int64_t count) {
  constexpr int64_t kMost = Engine::kMostChoices;
  int levels = 1;
  for (int64_t reach = kMost; reach < count; reach *= kMost) ++levels;
  int64_t size = 2;
  while (std::pow(size, levels) < static_cast<double>(count)) ++size;
  return size;
}

Secret largest(Engine& engine, const Secret& x, int64_t dim) {
  return unsettled_largest(engine, engine.settle(x), dim);
}

Secret unsettled_largest(Engine& engine, const Secret& x, int64_t dim) {
  const protocol::OperationScope scope(engine.statistics(), "max");
  return first_row(play_all(engine, candidates(x, dim)).values);
}

std::pair<Secret, Secret> largest_with_index(Engine& engine, const Secret& x, int64_t dim) {
  const protocol::OperationScope scope(engine.statistics(), "max");
  Candidates c = candidates(engine.settle(x), dim);
  std::vector<int64_t> column(c.values.sizes().size(), 1);
  column[0] = c.count();
  const at::Tensor places =
      at::arange(c.count(), at::kLong).reshape(column).expand(c.values.sizes()).contiguous();
  c.places = Secret(places, 0, protocol::kPublic);
  c = play_all(engine, std::move(c));
  return {first_row(c.values), first_row(*c.places)};
}

Sorted sort(Engine& engine, const Secret& x_in, int64_t dim_in, bool descending,
            bool with_indices) {
  const protocol::OperationScope scope(engine.statistics(), "sort");
  const int64_t dim = checked_dim(x_in, dim_in);
  Secret x = in_front(engine.share(engine.settle(x_in)), dim);
  const int64_t n = x.sizes()[0];
  std::optional<Secret> places;
  SortingNetwork network{dim, {}};
  if (with_indices) {
    std::vector<int64_t> column(x.sizes().size(), 1);
    column[0] = n;
    const at::Tensor order =
        at::arange(n, at::kLong).reshape(column).expand(x.sizes()).contiguous();
    places = engine.share(Secret(order, 0, protocol::kPublic));
  }
  for (auto& [first, second] : merge_exchange(n)) {
    const at::Tensor i = at::tensor(first, at::kLong), j = at::tensor(second, at::kLong);
    const Secret a = picked(x, i), b = picked(x, j);
    std::optional<Secret> kept;
    const Secret rise = descending ? engine.subtract(a, b) : engine.subtract(b, a);
    const Secret gain = engine.relu(rise, with_indices ? &kept : nullptr);
    const Secret larger = engine.add(gain, descending ? b : a);
    const Secret smaller = engine.subtract(descending ? a : b, gain);
    x = placed(x, i, descending ? larger : smaller, j, descending ? smaller : larger);
    if (with_indices) {
      const Secret p = picked(*places, i), q = picked(*places, j);
      const Secret stays = engine.product(kMultiply, *kept, engine.subtract(p, q));
      places = placed(*places, i, engine.add(stays, q), j, engine.subtract(p, stays));
      network.stages.push_back({std::move(first), std::move(second), *kept});
    }
  }
  const auto back = [&](const Secret& s) {
    return Secret(s.share().movedim(0, dim).contiguous(), s.fraction_bits(), s.owner());
  };
  if (!with_indices) return {back(x), std::nullopt, std::nullopt};
  return {back(x), back(*places), std::move(network)};
}

Secret unsort(Engine& engine, const SortingNetwork& network, const Secret& sorted) {
  const protocol::OperationScope scope(engine.statistics(), "unsort");
  Secret x = in_front(engine.share(engine.settle(sorted)), network.dim);
  for (size_t s = network.stages.size(); s-- > 0;) {
    const auto& stage = network.stages[s];
    const at::Tensor i = at::tensor(stage.first, at::kLong);
    const at::Tensor j = at::tensor(stage.second, at::kLong);
    const Secret p = picked(x, i), q = picked(x, j);
    const Secret stays = engine.product(kMultiply, stage.kept, engine.subtract(p, q));
    x = placed(x, i, engine.add(stays, q), j, engine.subtract(p, stays));
  }
  return Secret(x.share().movedim(0, network.dim).contiguous(), x.fraction_bits(), x.owner());
}

}  // namespace cryptensor::function
