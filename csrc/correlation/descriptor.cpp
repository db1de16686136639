// SPDX-License-Identifier: MIT
#include "correlation/descriptor.h"

#include <c10/util/accumulate.h>

#include <utility>

#include "core/errors.h"
#include "correlation/equality_layout.h"
#include "correlation/selection_layout.h"
#include "crypto/digest.h"

namespace cryptensor::correlation {
Descriptor Descriptor::make_mask(uint64_t numel, uint32_t holders) {
  Descriptor d;
  d.kind = Kind::mask;
  d.numel = numel;
  d.holders = holders;
  return d;
}

Descriptor Descriptor::make_bilinear(ring::BilinearMap map, MaskView left, MaskView right) {
  Descriptor d;
  d.kind = Kind::bilinear;
  d.map = std::move(map);
  d.left = std::move(left);
  d.right = std::move(right);
  return d;
}

Descriptor Descriptor::make_truncation(MaskView mask, int shift) {
  Descriptor d;
  d.kind = Kind::truncation;
  d.left = std::move(mask);
  d.shift = static_cast<uint8_t>(shift);
  return d;
}

Descriptor Descriptor::make_wrap(uint64_t numel, int shift) {
  Descriptor d;
  d.kind = Kind::wrap;
  d.numel = numel;
  d.shift = static_cast<uint8_t>(shift);
  return d;
}

Descriptor Descriptor::make_comparison(uint64_t numel, Comparison mode, int shift,
                                       Significant significant) {
  Descriptor d;
  d.kind = Kind::comparison;
  d.numel = numel;
  d.comparison = mode;
  d.significant = significant;
  d.shift = static_cast<uint8_t>(shift);
  return d;
}

Descriptor Descriptor::make_segments(uint64_t numel, std::vector<uint64_t> thresholds, int degree) {
  Descriptor d;
  d.kind = Kind::segments;
  d.numel = numel;
  d.thresholds = std::move(thresholds);
  d.degree = static_cast<uint8_t>(degree);
  return d;
}

Descriptor Descriptor::make_harmonics(uint64_t numel, const Harmonics& shape) {
  Descriptor d;
  d.kind = Kind::harmonics;
  d.numel = numel;
  d.harmonics = shape;
  return d;
}

Descriptor Descriptor::make_octaves(uint64_t numel, const Octaves& shape) {
  Descriptor d;
  d.kind = Kind::octaves;
  d.numel = numel;
  d.octaves = shape;
  return d;
}

Descriptor Descriptor::make_equality(uint64_t numel) {
  Descriptor d;
  d.kind = Kind::equality;
  d.numel = numel;
  return d;
}

Descriptor Descriptor::make_tournament(uint64_t groups) {
  Descriptor d;
  d.kind = Kind::tournament;
  d.numel = groups;
  return d;
}

Descriptor Descriptor::make_one_hot(uint64_t numel, uint64_t size) {
  Descriptor d;
  d.kind = Kind::one_hot;
  d.numel = numel;
  d.size = size;
  return d;
}

Descriptor Descriptor::make_point(uint64_t numel, int bits) {
  Descriptor d;
  d.kind = Kind::point;
  d.numel = numel;
  d.size = bits;
  return d;
}

Descriptor Descriptor::make_choice(uint64_t numel) {
  Descriptor d;
  d.kind = Kind::choice;
  d.numel = numel;
  return d;
}

uint64_t Descriptor::digest() const {
  const auto bytes = serialize();
  return crypto::digest64(bytes.data(), bytes.size());
}

std::vector<int64_t> Descriptor::output_sizes() const {
  return map.output_sizes(left.sizes, right.sizes);
}

bool Descriptor::in_blocks() const {
  return kind == Kind::comparison || kind == Kind::segments || kind == Kind::harmonics ||
         kind == Kind::octaves || kind == Kind::equality;
}

size_t Descriptor::correction_bytes() const {
  switch (kind) {
    case Kind::mask:
      return 0;
    case Kind::bilinear:
      return 8 * c10::multiply_integers(output_sizes());
    // r >> shift, then its top bit: a multiple of 2^(64 - shift) needs its low `shift` bits only.
    case Kind::truncation:
      return c10::multiply_integers(left.sizes) * (8 + low_word_bytes(shift));
    case Kind::wrap:
      return numel * low_word_bytes(shift);
    case Kind::comparison:
      return ComparisonLayout(numel, comparison, shift, significant).correction_bytes;
    case Kind::segments:
      return SegmentsLayout(numel, thresholds, degree).correction_bytes;
    case Kind::harmonics:
      return CharactersLayout(numel).field_bytes() * harmonics.fields();
    case Kind::octaves:
      return CharactersLayout(numel).field_bytes() * octaves.fields();
    case Kind::equality:
      return EqualityLayout(numel).correction_bytes;
    case Kind::tournament:
      return TournamentLayout(numel).correction_bytes;
    case Kind::one_hot:
      return OneHotLayout(numel, size).correction_bytes();
    case Kind::point:
      return PointLayout(numel, static_cast<int>(size)).correction_bytes();
    case Kind::choice:
      return ChoiceLayout(numel).correction_bytes();
  }
  throw Error("unknown kind of correlation");
}

}  // namespace cryptensor::correlation
