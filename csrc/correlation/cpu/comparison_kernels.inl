// SPDX-License-Identifier: MIT
// The comparison kernels, written once. The including file provides, for its instruction set:
//   typedef uint16_t Lanes (32 of them); split_words(), top_bits(), nonzero().

using Stream = ComparisonStream;

// The field of one block: read from the corrections, or expanded into `scratch`.
// `lines` is the size of the field in a full block, in units of 64 bytes.
template <class T>
CT_INLINE const T* field(const ComparisonShare& share, Stream stream, size_t offset, size_t block,
                         size_t lines, T* scratch) {
  if (share.corrects(block)) {
    return reinterpret_cast<const T*>(share.corrections + offset + 64 * lines * block);
  }
  fill(*share.prg, stream, lines * block, scratch, 8 * lines * share.layout->words_in_block(block));
  return scratch;
}

// Elements of the block that exist; the rest of its last word is padding.
CT_INLINE size_t count_in_block(const ComparisonLayout& layout, size_t block) {
  const size_t left = layout.n - kBlock * block;
  return left < kBlock ? left : kBlock;
}

// The words that are compared: all of the element, two of them, or its low `shift` bits moved to
// the top of one word.
template <int kWords>
CT_INLINE void compared_words(const ComparisonLayout& layout, const uint64_t* elements,
                              Lanes* words) {
  if constexpr (kWords == 4) {
    split_words(elements, words);
  } else {
    const int shift = layout.shift, first = 16 * layout.significant.first;
    alignas(64) uint64_t part[32];
    for (int i = 0; i < 32; ++i) {
      part[i] = kWords == 1 ? elements[i] << (16 - shift) & 0xffff : elements[i] >> first;
    }
    Lanes all[4];
    split_words(part, all);
    for (int i = 0; i < kWords; ++i) words[i] = all[i];
  }
}

void mask_elements(const ComparisonShare& share, const uint64_t* x, uint64_t* out) {
  alignas(64) uint64_t r[kBlock];
  const ComparisonLayout& layout = *share.layout;
  for (size_t b = 0; b < layout.blocks; ++b) {
    fill(*share.prg, Stream::mask, 64 * b, r, 64 * kWordsPerBlock * layout.words_in_block(b));
    const size_t count = count_in_block(layout, b);
    for (size_t i = 0; i < count; ++i) out[kBlock * b + i] = x[kBlock * b + i] + r[i];
  }
}

template <int kWords>
void pick_tables(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
                 const uint64_t* others, uint64_t* out) {
  using Tree = TreeShape<kWords>;
  const ComparisonLayout& layout = *share.layout;
  alignas(64) uint32_t less[Tree::kChunks][16] = {}, equal[Tree::kChunks][16] = {}, top[16] = {};
  alignas(64) uint16_t tables[kBlock * Tree::kChunks];
  alignas(64) uint64_t masks[Tree::kOpened1 * kWordsPerBlock];
  const uint16_t one = share.adds_constants ? 1 : 0;
  const Lanes constant = Lanes{} + one;
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    uint64_t* opened = state.opened + kBlock * b;
    const size_t count = count_in_block(layout, b);
    for (size_t i = 0; i < count; ++i) opened[i] = own[kBlock * b + i] + others[kBlock * b + i];
    for (size_t i = count; i < static_cast<size_t>(64 * w); ++i) opened[i] = 0;
    const uint16_t* table =
        field(share, Stream::tables, layout.tables, b, 16 * Tree::kChunks, tables);
    for (int q = 0; q < 2 * w; ++q) {
      Lanes words[4];
      compared_words<kWords>(layout, opened + 32 * q, words);
#pragma GCC unroll 16
      for (int c = 0; c < Tree::kChunks; ++c) {
        Lanes entries;
        __builtin_memcpy(&entries, table + 32 * (Tree::kChunks * q + c), 64);
        const Lanes place = place_of(words[c / 4], c % 4, kWords > 1 && c == Tree::kChunks - 1);
        less[c][q] = nonzero(entries & place);
        // eq[j] = lt[j] ^ lt[j - 1], with lt[-1] = 1.
        if (c > 0) equal[c][q] = nonzero((entries ^ (entries + entries) ^ constant) & place);
      }
      if constexpr (kWords > 1) top[q] = top_bits(words[kWords - 1]);
    }
    uint64_t* top_bit = state.top_bit + kWordsPerBlock * b;
    __builtin_memcpy(top_bit, top, 8 * w);
    fill(*share.prg, Stream::level1_masks, Tree::kOpened1 * b, masks, 8 * Tree::kOpened1 * w);
    uint64_t* to = out + kWordsPerBlock * b * Tree::kOpened1;
    uint64_t* hidden = state.hidden + kWordsPerBlock * b * kWords;
    int at = 0;
    const auto put = [&](const uint32_t* bits) __attribute__((always_inline)) {
      Plane plane;
      __builtin_memcpy(&plane, bits, 64);
      store(to + at * w, plane ^ load(masks + at * w, w), w);
      ++at;
    };
#pragma GCC unroll 4
    for (int i = 0; i < kWords; ++i) {
      for (int c = 1; c < 4; ++c) put(equal[4 * i + c]);
      for (int c = 0; c < 3; ++c) put(less[4 * i + c]);
      if (i > 0) put(equal[4 * i]);
      __builtin_memcpy(hidden + i * w, less[4 * i + 3], 8 * w);
    }
  }
}

// The result bit, masked: [c < r] ^ c_63 ^ offset, where the dealer's offset holds r_63 and its
// bit.
template <int kWords>
CT_INLINE void put_result_bit(const ComparisonShare& share, const ComparisonState& state, size_t b,
                              const Plane& less, uint64_t* out) {
  alignas(64) uint64_t scratch[kWordsPerBlock];
  const int w = share.layout->words_in_block(b);
  const uint64_t* offset =
      field(share, Stream::bit_offset, share.layout->bit_offset, b, 1, scratch);
  Plane bit = less ^ load(offset, w);
  if (kWords > 1 && share.adds_constants) bit ^= load(state.top_bit + kWordsPerBlock * b, w);
  store(out + kWordsPerBlock * b, bit, w);
}

template <int kWords>
void combine_level1(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
                    const uint64_t* others, uint64_t* out) {
  using Tree = TreeShape<kWords>;
  const ComparisonLayout& layout = *share.layout;
  const Plane one = Plane{} - static_cast<uint64_t>(share.adds_constants ? 1 : 0);
  alignas(64) uint64_t masks1[Tree::kOpened1 * kWordsPerBlock];
  alignas(64) uint64_t products1[Tree::kProducts1 * kWordsPerBlock];
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    fill(*share.prg, Stream::level1_masks, Tree::kOpened1 * b, masks1, 8 * Tree::kOpened1 * w);
    const uint64_t* mask = masks1;
    const uint64_t* product =
        field(share, Stream::level1_products, layout.level1, b, Tree::kProducts1, products1);
    const uint64_t* mine = own + kWordsPerBlock * b * Tree::kOpened1;
    const uint64_t* theirs = others + kWordsPerBlock * b * Tree::kOpened1;
    uint64_t* hidden = state.hidden + kWordsPerBlock * b * kWords;
    Plane less[kWords], equal[kWords];
    const auto node = [&]<class N>(int i) __attribute__((always_inline)) {
      run_node<N>(mine, theirs, mask, product, hidden + i * w, one, w, less[i], equal[i]);
      mine += N::kOpened * w;
      theirs += N::kOpened * w;
      mask += N::kOpened * w;
      product += N::kProducts * w;
    };
    node.template operator()<Node<4, false>>(0);
    if constexpr (kWords == 1) {
      put_result_bit<1>(share, state, b, less[0], out);
    } else {
      for (int i = 1; i < kWords; ++i) node.template operator()<Node<4, true>>(i);
      alignas(64) uint64_t masks2[Tree::kOpened2 * kWordsPerBlock];
      fill(*share.prg, Stream::level2_masks, Tree::kOpened2 * b, masks2, 8 * Tree::kOpened2 * w);
      uint64_t* to = out + kWordsPerBlock * b * Tree::kOpened2;
      int at = 0;
      const auto put = [&](const Plane& bits) __attribute__((always_inline)) {
        store(to + at * w, bits ^ load(masks2 + at * w, w), w);
        ++at;
      };
      for (int i = 1; i < kWords; ++i) put(equal[i]);
      for (int i = 0; i < kWords - 1; ++i) put(less[i]);
      store(hidden, less[kWords - 1], w);
    }
  }
}

template <int kWords>
void finish_level2(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
                   const uint64_t* others, uint64_t* out) {
  using Tree = TreeShape<kWords>;
  const ComparisonLayout& layout = *share.layout;
  const Plane one = Plane{} - static_cast<uint64_t>(share.adds_constants ? 1 : 0);
  alignas(64) uint64_t masks[Tree::kOpened2 * kWordsPerBlock];
  alignas(64) uint64_t products[Tree::kProducts2 * kWordsPerBlock];
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    fill(*share.prg, Stream::level2_masks, Tree::kOpened2 * b, masks, 8 * Tree::kOpened2 * w);
    const uint64_t* product =
        field(share, Stream::level2_products, layout.level2, b, Tree::kProducts2, products);
    Plane less, unused;
    run_node<Node<kWords, false>>(own + kWordsPerBlock * b * Tree::kOpened2,
                                  others + kWordsPerBlock * b * Tree::kOpened2, masks, product,
                                  state.hidden + kWordsPerBlock * b * kWords, one, w, less, unused);
    put_result_bit<kWords>(share, state, b, less, out);
  }
}

template <class W>
CT_INLINE Plane widen(const W* from) {
  typedef W Narrow __attribute__((vector_size(8 * sizeof(W))));
  Narrow narrow;
  __builtin_memcpy(&narrow, from, sizeof narrow);
  return __builtin_convertvector(narrow, Plane);
}

constexpr uint64_t kOffset = uint64_t{1} << 62;  // makes |x| < 2^62 non-negative

// Shares of the value v (public part P0 only) and of the dealer's bit d give b v with b = e ^ d:
// e = 0: d v; e = 1: v - d v.
template <Comparison kMode, class W>
void select_result(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
                   const uint64_t* others, uint64_t* result, uint64_t* bits) {
  const ComparisonLayout& layout = *share.layout;
  constexpr bool kTruncates = kMode == Comparison::relu_truncate || kMode == Comparison::low_bits;
  constexpr bool kSelects = kMode == Comparison::relu || kMode == Comparison::relu_truncate;
  const int f = layout.shift;
  const Plane keep = Plane{} - static_cast<uint64_t>(share.adds_constants ? 1 : 0);
  alignas(64) uint64_t bit_s[kBlock], shifted_s[kBlock], selected_s[kBlock];
  alignas(64) W wrap_s[kBlock], selected_wrap_s[kBlock];
  for (size_t b = 0; b < layout.blocks; ++b) {
    const uint8_t* mine = reinterpret_cast<const uint8_t*>(own + kWordsPerBlock * b);
    const uint8_t* theirs = reinterpret_cast<const uint8_t*>(others + kWordsPerBlock * b);
    const uint64_t* opened = state.opened + kBlock * b;
    const uint64_t* bit = field(share, Stream::bit, layout.bit, b, 64, bit_s);
    const uint64_t *shifted = nullptr, *selected = nullptr;
    const W *wrap = nullptr, *selected_wrap = nullptr;
    constexpr size_t kWrapLines = kBlock * sizeof(W) / 64;
    if constexpr (kTruncates) {
      shifted = field(share, Stream::shifted, layout.shifted, b, 64, shifted_s);
      wrap = field(share, Stream::wrap, layout.wrap, b, kWrapLines, wrap_s);
    } else if constexpr (kMode == Comparison::relu) {
      fill(*share.prg, Stream::mask, 64 * b, shifted_s,
           64 * kWordsPerBlock * layout.words_in_block(b));
      shifted = shifted_s;  // nothing is shifted: the mask itself
    }
    if constexpr (kSelects)
      selected = field(share, Stream::selected, layout.selected, b, 64, selected_s);
    if constexpr (kSelects && kTruncates) {
      selected_wrap =
          field(share, Stream::selected_wrap, layout.selected_wrap, b, kWrapLines, selected_wrap_s);
    }
    const size_t count = count_in_block(layout, b);
    for (size_t i = 0; i < count; i += 8) {
      const Plane flip = Plane{} - spread(mine[i / 8] ^ theirs[i / 8]);  // all ones where e = 1
      const Plane dealt = load(bit + i, 8);
      const Plane b_share = (flip & ((keep & 1) - dealt)) | (~flip & dealt);
      const Plane c = load(opened + i, 8);
      Plane y;
      if constexpr (kMode == Comparison::sign) {
        y = b_share;
      } else {
        Plane value = c, base, chosen;
        if constexpr (kTruncates) {
          const Plane raised = c + kOffset;
          const Plane no_top =
              (raised >> 63) - 1;  // all ones where bit 63 is 0: r may have wrapped
          value = (raised >> f) - (kOffset >> f);
          base =
              (keep & value) - load(shifted + i, 8) + (no_top & (widen<W>(wrap + i) << (64 - f)));
          if constexpr (kSelects) {
            chosen = value * dealt - load(selected + i, 8) +
                     (no_top & (widen<W>(selected_wrap + i) << (64 - f)));
          }
        } else {
          base = (keep & value) - load(shifted + i, 8);
          chosen = value * dealt - load(selected + i, 8);
        }
        if constexpr (kMode == Comparison::low_bits) {
          y = base - b_share;  // the borrow of the low bits
        } else {
          y = (flip & (base - chosen)) | (~flip & chosen);
        }
      }
      const int present = static_cast<int>(count - i < 8 ? count - i : 8);
      store(result + kBlock * b + i, y, present);
      if (bits != nullptr) store(bits + kBlock * b + i, b_share, present);
    }
  }
}

template <class W>
void select_by_mode(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
                    const uint64_t* others, uint64_t* result, uint64_t* bits) {
  switch (share.layout->mode) {
    case Comparison::sign:
      return select_result<Comparison::sign, W>(share, state, own, others, result, bits);
    case Comparison::relu:
      return select_result<Comparison::relu, W>(share, state, own, others, result, bits);
    case Comparison::relu_truncate:
      return select_result<Comparison::relu_truncate, W>(share, state, own, others, result, bits);
    case Comparison::low_bits:
      return select_result<Comparison::low_bits, W>(share, state, own, others, result, bits);
  }
}
