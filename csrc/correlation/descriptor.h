// SPDX-License-Identifier: MIT
// What a correlation is, in a form that parties and dealer agree on byte for byte.
//
// A correlation is named by its serial number in the session and the digest of its descriptor; both
// enter the key of its PRG streams, so two different correlations never share a random byte, even
// when one of them was dealt ahead of demand and thrown away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "correlation/characters.h"
#include "correlation/comparison_layout.h"
#include "correlation/segments_layout.h"
#include "ring/bilinear.h"

namespace cryptensor::correlation {

// A mask r = sum of the holders' streams. The dealer can expand it again from its name.
struct MaskName {
  uint64_t serial = 0;
  uint64_t digest = 0;
  uint64_t numel = 0;
  uint32_t holders = 0;     // bit i: party i holds a share
  bool long_lived = false;  // a weight's: named by its absolute serial in forecasts
  uint32_t epoch = 0;       // of the provider that took it; never sent
  bool operator==(const MaskName&) const = default;
};

// A strided view of a mask, as a tensor views its storage.
struct MaskView {
  MaskName mask;
  std::vector<int64_t> sizes, strides;
  int64_t offset = 0;
  bool operator==(const MaskView&) const = default;
};

enum class Kind : uint8_t {
  mask = 0,        // r; nothing is corrected
  bilinear = 1,    // shares of map(left, right) for two masks
  truncation = 2,  // shares of r >> shift and of the top bit of r, for a mask
  wrap = 3,        // bits s_0, s_1 and shares of s_0 s_1 mod 2^shift (two parties)
  comparison = 4,  // see comparison_layout.h
  segments = 5,    // see segments_layout.h
  harmonics = 6,   // see characters.h
  octaves = 7,     // the same
  equality = 8,    // see equality_layout.h
  tournament = 9,  // see selection_layout.h
  one_hot = 10,    // the same
  point = 11,      // the same; two parties
  choice = 12,     // the same
};

struct Descriptor {
  Kind kind = Kind::mask;
  uint64_t numel = 0;                        // all but bilinear and truncation
  uint32_t holders = 0;                      // mask
  uint8_t shift = 0;                         // truncation, wrap, comparison
  Comparison comparison = Comparison::sign;  // comparison
  Significant significant;                   // comparison
  MaskView left, right;                      // bilinear; truncation uses left
  ring::BilinearMap map;                     // bilinear
  std::vector<uint64_t> thresholds;          // segments
  uint8_t degree = 0;                        // segments
  Harmonics harmonics;                       // harmonics
  Octaves octaves;                           // octaves
  uint64_t size = 0;                         // one_hot; point: bits

  static Descriptor make_mask(uint64_t numel, uint32_t holders);
  static Descriptor make_bilinear(ring::BilinearMap map, MaskView left, MaskView right);
  static Descriptor make_truncation(MaskView mask, int shift);
  static Descriptor make_wrap(uint64_t numel, int shift);
  static Descriptor make_comparison(uint64_t numel, Comparison mode, int shift,
                                    Significant significant = {});

  static Descriptor make_segments(uint64_t numel, std::vector<uint64_t> thresholds, int degree);
  static Descriptor make_harmonics(uint64_t numel, const Harmonics& shape);
  static Descriptor make_octaves(uint64_t numel, const Octaves& shape);
  static Descriptor make_equality(uint64_t numel);
  static Descriptor make_tournament(uint64_t groups);
  static Descriptor make_one_hot(uint64_t numel, uint64_t size);
  static Descriptor make_point(uint64_t numel, int bits);
  static Descriptor make_choice(uint64_t numel);

  std::vector<uint8_t> serialize() const;
  // For bytes of a peer. Throws ProtocolError for anything that the makers above cannot produce or
  // that would ask for more than kMaxElements.
  static Descriptor parse(std::span<const uint8_t> bytes, int parties);

  uint64_t digest() const;
  size_t correction_bytes() const;            // D: what the dealer sends to the corrected party
  bool in_blocks() const;                     // can several parties correct a part each?
  std::vector<int64_t> output_sizes() const;  // bilinear
};

// The bytes that hold the low `bits` bits of an element.
constexpr size_t low_word_bytes(int bits) { return bits <= 16 ? 2 : bits <= 32 ? 4 : 8; }
constexpr int kMaxShift = 48;  // of a truncation

constexpr uint64_t kMaxCorrectionBytes = uint64_t{1} << 36;  // of one correlation
constexpr uint64_t kMaxElements = uint64_t{1} << 31;
constexpr size_t kMaxDimensions = 8;

}  // namespace cryptensor::correlation
