// SPDX-License-Identifier: MIT
// The dealer's part of comparisons, functions and selections.
#include "core/buffer.h"
#include "core/errors.h"
#include "correlation/cpu/characters_kernels.h"
#include "correlation/cpu/comparison_kernels.h"
#include "correlation/cpu/equality_kernels.h"
#include "correlation/cpu/segments_kernels.h"
#include "correlation/dealer.h"
#include "correlation/selection_layout.h"
#include "ring/words.h"

namespace cryptensor::correlation {
namespace {

// value -= what the parties before the last expand from `stream`.
void subtract_others(const std::vector<const crypto::Prg*>& prgs, uint64_t stream, uint64_t* value,
                     size_t n) {
  Buffer scratch(8 * n);
  for (size_t p = 0; p + 1 < prgs.size(); ++p) {
    prgs[p]->fill(stream, 0, scratch.data(), 8 * n);
    ring::subtract_from(value, scratch.as<uint64_t>(), n);
  }
}

// What all parties expand from `stream`, added up.
Buffer sum_of_streams(const std::vector<const crypto::Prg*>& prgs, uint64_t stream, size_t n) {
  Buffer sum(8 * n), scratch(8 * n);
  prgs[0]->fill(stream, 0, sum.data(), 8 * n);
  for (size_t p = 1; p < prgs.size(); ++p) {
    prgs[p]->fill(stream, 0, scratch.data(), 8 * n);
    ring::add_to(sum.as<uint64_t>(), scratch.as<uint64_t>(), n);
  }
  return sum;
}

void deal_one_hot(const std::vector<const crypto::Prg*>& prgs, const OneHotLayout& layout,
                  uint8_t* corrections) {
  const Buffer masks = sum_of_streams(prgs, OneHotLayout::kMaskStream, layout.n);
  auto* out = reinterpret_cast<uint64_t*>(corrections);
  std::fill_n(out, layout.n * layout.span, 0);
  for (size_t i = 0; i < layout.n; ++i) {
    out[i * layout.span + (masks.as<uint64_t>()[i] & (layout.span - 1))] = 1;
  }
  subtract_others(prgs, OneHotLayout::kValueStream, out, layout.n * layout.span);
}

void deal_choice(const std::vector<const crypto::Prg*>& prgs, const ChoiceLayout& layout,
                 uint8_t* corrections) {
  using Layout = ChoiceLayout;
  const Buffer index = sum_of_streams(prgs, Layout::kIndexStream, layout.n);
  const Buffer value = sum_of_streams(prgs, Layout::kValueStream, layout.n);
  auto* table = reinterpret_cast<uint64_t*>(corrections);
  Buffer scratch(8 * Layout::kBlock * Layout::kTable);
  for (size_t first = 0; first < layout.n; first += Layout::kBlock) {
    const size_t count = std::min(Layout::kBlock, layout.n - first);
    const size_t words = count * Layout::kTable;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t r = index.as<uint64_t>()[first + i], s = value.as<uint64_t>()[first + i];
      for (size_t k = 0; k < Layout::kEntries; ++k) {
        const uint64_t here = r % Layout::kEntries == k ? 1 : 0;
        table[i * Layout::kTable + 2 * k] = here;
        table[i * Layout::kTable + 2 * k + 1] = here * s;
      }
    }
    for (size_t p = 0; p + 1 < prgs.size(); ++p) {
      prgs[p]->fill(Layout::kTableStream, Layout::kLines * first, scratch.data(), 8 * words);
      ring::subtract_from(table, scratch.as<uint64_t>(), words);
    }
    table += words;
  }
}

void deal_points(const std::vector<const crypto::Prg*>& prgs, const crypto::Prg& secret,
                 const PointLayout& layout, uint8_t* corrections) {
  const Buffer masks = sum_of_streams(prgs, PointLayout::kMaskStream, layout.n);
  Buffer seeds(layout.seed_bytes()), differences(layout.seed_bytes());
  prgs[0]->fill(PointLayout::kSeedStream, 0, seeds.data(), layout.seed_bytes());
  secret.fill(PointLayout::kSeedStream, 0, differences.data(), layout.seed_bytes());
  const PointFunction function(layout.bits);
  auto* second = reinterpret_cast<crypto::Block*>(corrections);
  auto* words = reinterpret_cast<uint64_t*>(corrections + layout.seed_bytes());
  const uint64_t span = uint64_t{1} << layout.bits;
  for (size_t i = 0; i < layout.n; ++i, words += layout.words) {
    function.make_key(masks.as<uint64_t>()[i] & (span - 1), seeds.as<crypto::Block>()[i],
                      differences.as<crypto::Block>()[i], second + i, words);
  }
}

}  // namespace

// On top of a comparison of the differences: the one-hots of the dealer's bits.
void Dealer::deal_tournament(const std::vector<const crypto::Prg*>& prgs, const crypto::Prg& secret,
                             const Descriptor& d, uint8_t* corrections) const {
  using Layout = TournamentLayout;
  const Layout layout(d.numel);
  comparison_kernels().deal(layout.comparison, prgs.data(), parties(), {}, secret, corrections);
  const size_t n = Layout::kPairs * layout.padded;
  const Buffer r = sum_of_streams(prgs, static_cast<uint64_t>(ComparisonStream::mask), n);
  // The comparison draws its bits a whole block at a time.
  Buffer bits(64 * layout.comparison.blocks);
  secret.fill(static_cast<uint64_t>(ComparisonStream::bit), 0, bits.data(), bits.size());
  const auto bit = [&](int pair, size_t g) {
    return ring::bit_at(bits.as<uint64_t>(), pair * layout.padded + g);
  };
  for (int i = 0; i < 3; ++i) {
    const int* pairs = Layout::kDecides[i];
    const uint64_t* mask = r.as<uint64_t>() + Layout::kLastPair[i] * layout.padded;
    for (uint64_t k = 0; k < Layout::kEntries; ++k) {
      uint64_t* ones = reinterpret_cast<uint64_t*>(corrections + layout.values) +
                       layout.padded * Layout::field(i, static_cast<int>(k), false);
      uint64_t* masked = ones + layout.padded;
      for (size_t g = 0; g < layout.padded; ++g) {
        const uint64_t entry = bit(pairs[0], g) | bit(pairs[1], g) << 1 | bit(pairs[2], g) << 2;
        ones[g] = entry == k ? 1 : 0;
        masked[g] = entry == k ? mask[g] : 0;
      }
      const uint64_t stream = Layout::kStream + Layout::field(i, static_cast<int>(k), false);
      subtract_others(prgs, stream, ones, layout.padded);
      subtract_others(prgs, stream + 1, masked, layout.padded);
    }
  }
}

void Dealer::deal_function(const std::vector<crypto::Prg>& streams, uint64_t serial,
                           const Descriptor& d, Part part, uint8_t* out) const {
  std::vector<const crypto::Prg*> prgs;
  for (const auto& prg : streams) prgs.push_back(&prg);
  const auto secret = [&] { return correlation_prg(own_, serial, d.digest()); };
  switch (d.kind) {
    case Kind::comparison:
      return comparison_kernels().deal(
          ComparisonLayout(d.numel, d.comparison, d.shift, d.significant), prgs.data(), parties(),
          part, secret(), out);
    case Kind::segments:
      return segments_kernels().deal(SegmentsLayout(d.numel, d.thresholds, d.degree), prgs.data(),
                                     parties(), part, secret(), out);
    case Kind::harmonics:
      return characters_kernels().deal_harmonics(CharactersLayout(d.numel), d.harmonics,
                                                 prgs.data(), parties(), part, out);
    case Kind::octaves:
      return characters_kernels().deal_octaves(CharactersLayout(d.numel), d.octaves, prgs.data(),
                                               parties(), part, out);
    case Kind::equality:
      return equality_kernels().deal(EqualityLayout(d.numel), prgs.data(), parties(), part, out);
    case Kind::tournament:
      return deal_tournament(prgs, secret(), d, out);
    case Kind::choice:
      return deal_choice(prgs, ChoiceLayout(d.numel), out);
    case Kind::one_hot:
      return deal_one_hot(prgs, OneHotLayout(d.numel, d.size), out);
    case Kind::point:
      return deal_points(prgs, secret(), PointLayout(d.numel, static_cast<int>(d.size)), out);
    default:
      throw Error("unknown kind of correlation");
  }
}

}  // namespace cryptensor::correlation
