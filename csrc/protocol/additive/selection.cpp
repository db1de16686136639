// SPDX-License-Identifier: MIT
// Choices: is a value zero, which of four is the largest, and the one-hot of a secret index.
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros.h>

#include <bit>
#include <cstring>

#include "core/buffer.h"
#include "correlation/cpu/comparison_kernels.h"
#include "correlation/cpu/equality_kernels.h"
#include "correlation/selection_layout.h"
#include "protocol/additive/engine.h"
#include "ring/words.h"

namespace cryptensor::protocol::additive {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

// The dealer's one-hot of the mask, turned by the opened index.
void turn(const uint64_t* dealt, uint64_t opened, size_t span, size_t size, uint64_t* out) {
  for (size_t k = 0; k < size; ++k) out[k] = dealt[(opened - k) & (span - 1)];
}

}  // namespace

Secret AdditiveEngine::shared_is_zero(const Secret& a) {
  const at::Tensor x = a.share().contiguous();
  const correlation::EqualityLayout layout(x.numel());
  Round masked(links_, net::Operation::compare, net::DType::int64, layout.n);
  Round level1(links_, net::Operation::compare, net::DType::bits, layout.words * layout.kOpened1);
  Round level2(links_, net::Operation::compare, net::DType::bits, layout.words * layout.kOpened2);
  const auto dealt = provider_->take(correlation::Descriptor::make_equality(layout.n));
  const correlation::EqualityShare share{&layout, &dealt.prg, dealt.corrections.get(), dealt.part,
                                         adds_constants()};
  const auto& kernels = correlation::equality_kernels();
  kernels.mask(share, words(x), masked.out());
  masked.send();
  kernels.pick(share, masked.own(), masked.sum_of_others(), level1.out());
  level1.send();
  kernels.combine(share, level1.own(), level1.xor_of_others(), level2.out());
  level2.send();
  at::Tensor out = at::empty(x.sizes(), at::kLong);
  kernels.finish(share, level2.own(), level2.xor_of_others(), words(out));
  return Secret(out, 0, kShared);
}

Secret AdditiveEngine::shared_one_hot(const Secret& index, int64_t size) {
  const at::Tensor x = index.share().contiguous();
  const correlation::OneHotLayout layout(x.numel(), size);
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.push_back(size);
  const at::Tensor out = at::empty(sizes, at::kLong);
  if (parties() == 2 && layout.span >= correlation::OneHotLayout::kCompactSpan) {
    one_hot_by_points(x, layout, words(out));
  } else {
    one_hot_by_tables(x, layout, words(out));
  }
  return Secret(out, 0, kShared);
}

void AdditiveEngine::one_hot_by_tables(const at::Tensor& x, const correlation::OneHotLayout& layout,
                                       uint64_t* out) {
  Round round(links_, net::Operation::open_mask, net::DType::int64, layout.n);
  const auto dealt = provider_->take(correlation::Descriptor::make_one_hot(layout.n, layout.size));
  dealt.prg.fill(correlation::OneHotLayout::kMaskStream, 0, round.out(), 8 * layout.n);
  ring::add_to(round.out(), words(x), layout.n);
  round.send();
  const uint64_t* others = round.sum_of_others();
  Buffer scratch;
  const auto* table = reinterpret_cast<const uint64_t*>(dealt.corrections.get());
  if (table == nullptr) {
    scratch = Buffer(8 * layout.n * layout.span);
    dealt.prg.fill(correlation::OneHotLayout::kValueStream, 0, scratch.data(), scratch.size());
    table = scratch.as<uint64_t>();
  }
  for (size_t i = 0; i < layout.n; ++i) {
    turn(table + i * layout.span, round.own()[i] + others[i], layout.span, layout.size,
         out + i * layout.size);
  }
}

void AdditiveEngine::one_hot_by_points(const at::Tensor& x, const correlation::OneHotLayout& layout,
                                       uint64_t* out) {
  using Layout = correlation::PointLayout;
  const Layout points(layout.n, std::countr_zero(layout.span));
  const auto n = static_cast<int64_t>(layout.n);
  const auto dealt = provider_->take(correlation::Descriptor::make_point(layout.n, points.bits));
  Exchange exchange(links_, net::Operation::open_mask);
  at::Tensor masked = at::empty({n}, at::kLong);
  dealt.prg.fill(Layout::kMaskStream, 0, words(masked), 8 * layout.n);
  ring::add_to(words(masked), words(x), layout.n);
  const PartySet all = everyone(2);
  const size_t opened = exchange.add(masked, {n}, all, all);
  // The second party has the public words from the dealer; the first one gets no corrections.
  at::Tensor keys;
  Buffer seeds(points.seed_bytes());
  if (dealt.corrections) {
    std::memcpy(seeds.data(), dealt.corrections.get(), points.seed_bytes());
    keys = at::empty({n * static_cast<int64_t>(points.words)}, at::kLong);
    const size_t key_bytes = 8 * keys.numel();
    if (n > 0) std::memcpy(words(keys), dealt.corrections.get() + points.seed_bytes(), key_bytes);
  } else {
    dealt.prg.fill(Layout::kSeedStream, 0, seeds.data(), points.seed_bytes());
  }
  const size_t passed_on =
      exchange.add(keys, {n * static_cast<int64_t>(points.words)}, only(1), only(0));
  exchange.run();
  const uint64_t* key = words(exchange.result(passed_on));
  const correlation::PointFunction function(points.bits);
  Buffer table(8 * layout.span);
  for (size_t i = 0; i < layout.n; ++i, key += points.words) {
    function.evaluate(rank(), seeds.as<crypto::Block>()[i], key, table.as<uint64_t>());
    turn(table.as<uint64_t>(), words(exchange.result(opened))[i], layout.span, layout.size,
         out + i * layout.size);
  }
}

// One round: index and candidate are opened together.
Choice AdditiveEngine::shared_choose(const Secret& index, const Secret& candidates,
                                     int64_t target) {
  using Layout = correlation::ChoiceLayout;
  const at::Tensor x = candidates.share().contiguous(), places = index.share().contiguous();
  const Layout layout(x.numel());
  const size_t n = layout.n;
  Round round(links_, net::Operation::open_mask, net::DType::int64, 2 * n);
  const auto dealt = provider_->take(correlation::Descriptor::make_choice(n));
  dealt.prg.fill(Layout::kIndexStream, 0, round.out(), 8 * n);
  dealt.prg.fill(Layout::kValueStream, 0, round.out() + n, 8 * n);
  ring::add_to(round.out(), words(places), n);
  ring::add_to(round.out() + n, words(x), n);
  round.send();
  const uint64_t *others = round.sum_of_others(), *own = round.own();

  const at::Tensor chosen = at::empty(x.sizes(), at::kLong), value = at::empty_like(chosen);
  Buffer scratch;
  if (!dealt.corrections) scratch = Buffer(8 * Layout::kBlock * Layout::kTable);
  for (size_t first = 0; first < n; first += Layout::kBlock) {
    const size_t count = std::min(Layout::kBlock, n - first);
    const auto* table = reinterpret_cast<const uint64_t*>(dealt.corrections.get());
    if (table != nullptr) {
      table += Layout::kTable * first;
    } else {
      dealt.prg.fill(Layout::kTableStream, Layout::kLines * first, scratch.data(),
                     8 * count * Layout::kTable);
      table = scratch.as<uint64_t>();
    }
    for (size_t i = first; i < first + count; ++i, table += Layout::kTable) {
      const uint64_t entry = (own[i] + others[i] - target) % Layout::kEntries;
      const uint64_t here = table[2 * entry];
      words(chosen)[i] = here;
      words(value)[i] = (own[n + i] + others[n + i]) * here - table[2 * entry + 1];
    }
  }
  return {Secret(chosen, 0, kShared), Secret(value, candidates.fraction_bits(), kShared)};
}

// x: four rows of `groups` candidates. The comparison is the plain one, on all pairs; only what is
// made of its last opening differs.
Tournament AdditiveEngine::shared_tournament(const Secret& a) {
  using Layout = correlation::TournamentLayout;
  const at::Tensor x = a.share().contiguous();
  const Layout layout(x.numel() / 4);
  const auto& pairs = layout.comparison;
  Round masked(links_, net::Operation::compare, net::DType::int64, pairs.n);
  Round level1(links_, net::Operation::compare, net::DType::bits, pairs.words * pairs.opened1);
  Round level2(links_, net::Operation::compare, net::DType::bits, pairs.words * pairs.opened2);
  Round bit(links_, net::Operation::compare, net::DType::bits, pairs.words);
  const auto dealt = provider_->take(correlation::Descriptor::make_tournament(layout.groups));
  const correlation::ComparisonShare share{&pairs, &dealt.prg, dealt.corrections.get(), dealt.part,
                                           adds_constants()};
  Buffer opened(8 * pairs.padded), hidden(8 * pairs.words * 4), top(8 * pairs.words);
  const correlation::ComparisonState state{opened.as<uint64_t>(), hidden.as<uint64_t>(),
                                           top.as<uint64_t>()};

  Buffer differences(8 * pairs.n);
  differences.zero();
  const uint64_t* candidates = words(x);
  for (int p = 0; p < Layout::kPairs; ++p) {
    const uint64_t* first = candidates + Layout::kFirst[p] * layout.groups;
    const uint64_t* second = candidates + Layout::kSecond[p] * layout.groups;
    uint64_t* out = differences.as<uint64_t>() + p * layout.padded;
    for (size_t g = 0; g < layout.groups; ++g) out[g] = first[g] - second[g];
  }
  const auto& kernels = correlation::comparison_kernels();
  kernels.mask(share, differences.as<uint64_t>(), masked.out());
  masked.send();
  kernels.pick(share, state, masked.own(), masked.sum_of_others(), level1.out());
  level1.send();
  kernels.combine(share, state, level1.own(), level1.xor_of_others(), level2.out());
  level2.send();
  kernels.finish(share, state, level2.own(), level2.xor_of_others(), bit.out());
  bit.send();
  const uint64_t* others = bit.xor_of_others();

  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.erase(sizes.begin());
  at::Tensor largest = at::empty(sizes, at::kLong);
  std::copy_n(candidates + 3 * layout.groups, layout.groups, words(largest));
  Buffer scratch(8 * layout.padded * 2 * Layout::kEntries);
  std::vector<Secret> wins;
  for (int i = 0; i < 3; ++i) {
    const uint64_t* field[2 * Layout::kEntries];
    for (int f = 0; f < 2 * Layout::kEntries; ++f) {
      const int index = Layout::field(i, 0, false) + f;
      if (dealt.corrections) {
        field[f] = reinterpret_cast<const uint64_t*>(dealt.corrections.get() + layout.values) +
                   layout.padded * index;
      } else {
        uint64_t* to = scratch.as<uint64_t>() + layout.padded * f;
        dealt.prg.fill(Layout::kStream + index, 0, to, 8 * layout.padded);
        field[f] = to;
      }
    }
    at::Tensor win = at::empty(sizes, at::kLong);
    const uint64_t* difference = state.opened + Layout::kLastPair[i] * layout.padded;
    for (size_t g = 0; g < layout.groups; ++g) {
      uint64_t entry = 0;
      for (int b = 0; b < 3; ++b) {
        const size_t at = Layout::kDecides[i][b] * layout.padded + g;
        const uint64_t e = ring::bit_at(bit.own(), at) ^ ring::bit_at(others, at);
        entry |= (e ^ (Layout::kLoses[i][b] ? 0 : 1)) << b;  // the dealer's bit that makes it 1
      }
      words(win)[g] = field[2 * entry][g];
      words(largest)[g] += difference[g] * field[2 * entry][g] - field[2 * entry + 1][g];
    }
    wins.emplace_back(win, 0, kShared);
  }
  return {Secret(largest, a.fraction_bits(), kShared), std::move(wins)};
}

}  // namespace cryptensor::protocol::additive
