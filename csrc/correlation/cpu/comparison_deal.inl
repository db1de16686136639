// SPDX-License-Identifier: MIT
// The dealer's pass of a comparison: what the last party's corrections must be so that all shares
// together give the tables, the monomials of the mask bits and the products with the dealer's bit.

struct DealtBlock {
  const ComparisonLayout* layout;
  const crypto::Prg* const* prgs;
  int parties;
  size_t block;
  int words;
};

// Combined streams of `parties` parties: the value of a mask, or what the others hold of a field.
template <bool kXor, class T>
CT_INLINE void gather(const DealtBlock& d, int parties, Stream stream, size_t lines, T* out,
                      T* scratch) {
  const size_t bytes = 8 * lines * d.words;
  fill(*d.prgs[0], stream, lines * d.block, out, bytes);
  for (int p = 1; p < parties; ++p) {
    fill(*d.prgs[p], stream, lines * d.block, scratch, bytes);
    for (size_t i = 0; i < bytes / sizeof(T); ++i) {
      out[i] = static_cast<T>(kXor ? out[i] ^ scratch[i] : out[i] + scratch[i]);
    }
  }
}

template <int kWords>
void deal_tables(const DealtBlock& d, const uint64_t* r, uint8_t* corrections, uint32_t* top) {
  using Tree = TreeShape<kWords>;
  alignas(64) uint16_t scratch[kBlock * Tree::kChunks];
  uint16_t* tables = reinterpret_cast<uint16_t*>(corrections + d.layout->tables) +
                     kBlock * Tree::kChunks * d.block;
  gather<true>(d, d.parties - 1, Stream::tables, 16 * Tree::kChunks, tables, scratch);
  const Lanes ones = Lanes{} + 1;
  for (int q = 0; q < 2 * d.words; ++q) {
    Lanes words[4];
    compared_words<kWords>(*d.layout, r + 32 * q, words);
#pragma GCC unroll 16
    for (int c = 0; c < Tree::kChunks; ++c) {
      Lanes entries;
      uint16_t* at = tables + 32 * (Tree::kChunks * q + c);
      __builtin_memcpy(&entries, at, 64);
      entries ^= place_of(words[c / 4], c % 4, kWords > 1 && c == Tree::kChunks - 1) -
                 ones;  // bit j set for j < r_c
      __builtin_memcpy(at, &entries, 64);
    }
    if constexpr (kWords > 1) top[q] = top_bits(words[kWords - 1]);
  }
}

// `nodes` calls put(products, count) for each node of the level, in order.
template <int kOpened, int kProducts, class Nodes>
CT_INLINE void deal_level(const DealtBlock& d, Stream mask_stream, Stream product_stream,
                          size_t offset, uint8_t* corrections, const Nodes& nodes) {
  alignas(64) uint64_t masks[kOpened * kWordsPerBlock],
      scratch[(kOpened + kProducts) * kWordsPerBlock];
  const int w = d.words;
  gather<true>(d, d.parties, mask_stream, kOpened, masks, scratch);
  Plane mask[kOpened], product[kProducts];
  for (int i = 0; i < kOpened; ++i) mask[i] = load(masks + i * w, w);
  nodes(mask, product);
  uint64_t* out =
      reinterpret_cast<uint64_t*>(corrections + offset) + kWordsPerBlock * kProducts * d.block;
  gather<true>(d, d.parties - 1, product_stream, kProducts, out, scratch);
  for (int i = 0; i < kProducts; ++i) store(out + i * w, load(out + i * w, w) ^ product[i], w);
}

// The last share of an additive field is its value less what the others expand.
template <class W, class Value>
CT_INLINE void deal_additive(const DealtBlock& d, Stream stream, size_t offset,
                             uint8_t* corrections, const Value& value) {
  alignas(64) W scratch[kBlock];
  W* out = reinterpret_cast<W*>(corrections + offset) + kBlock * d.block;
  gather<false>(d, d.parties - 1, stream, kBlock * sizeof(W) / 64, out, scratch);
  for (int i = 0; i < 64 * d.words; ++i) out[i] = static_cast<W>(value(i) - out[i]);
}

template <int kWords, class W>
void deal_block(const DealtBlock& d, const crypto::Prg& secret, uint8_t* corrections) {
  using Tree = TreeShape<kWords>;
  const ComparisonLayout& layout = *d.layout;
  alignas(64) uint64_t r[kBlock], scratch[kBlock], bits[kWordsPerBlock], others[kWordsPerBlock];
  alignas(64) uint32_t top[16] = {};
  gather<false>(d, d.parties, Stream::mask, 64, r, scratch);
  deal_tables<kWords>(d, r, corrections, top);
  deal_level<Tree::kOpened1, Tree::kProducts1>(
      d, Stream::level1_masks, Stream::level1_products, layout.level1, corrections,
      [](const Plane* mask, Plane* product) __attribute__((always_inline)) {
        Node<4, false>::products(mask, product);
        mask += Node<4, false>::kOpened;
        product += Node<4, false>::kProducts;
        for (int i = 1; i < kWords; ++i) {
          Node<4, true>::products(mask, product);
          mask += Node<4, true>::kOpened;
          product += Node<4, true>::kProducts;
        }
      });
  if constexpr (kWords > 1) {
    deal_level<Tree::kOpened2, Tree::kProducts2>(
        d, Stream::level2_masks, Stream::level2_products, layout.level2, corrections,
        [](const Plane* mask, Plane* product)
            __attribute__((always_inline)) { Node<kWords, false>::products(mask, product); });
  }

  // The result bit is opened under the dealer's bit. A sign is msb(x) ^ 1 = [c < r] ^ c_63 ^ r_63 ^
  // 1; a borrow is [c < r] itself.
  fill(secret, Stream::bit, d.block, bits, sizeof bits);
  uint64_t* offset =
      reinterpret_cast<uint64_t*>(corrections + layout.bit_offset) + kWordsPerBlock * d.block;
  gather<true>(d, d.parties - 1, Stream::bit_offset, 1, offset, others);
  uint64_t tops[kWordsPerBlock];
  __builtin_memcpy(tops, top, sizeof tops);
  for (int i = 0; i < d.words; ++i) {
    offset[i] ^= bits[i] ^ (kWords > 1 ? tops[i] ^ ~uint64_t{0} : 0);
  }

  alignas(64) uint64_t bit_of[kBlock];  // a whole element each, so that the loops are vectors
  for (size_t i = 0; i < kBlock; i += 8) {
    const Plane eight = spread(static_cast<uint8_t>(bits[i / 64] >> (i % 64)));
    __builtin_memcpy(bit_of + i, &eight, sizeof eight);
  }
  const auto bit = [&](int i) { return bit_of[i]; };
  const auto masked = [&](uint64_t value, int i) { return value & (0 - bit_of[i]); };
  const int f = layout.shift;
  deal_additive<uint64_t>(d, Stream::bit, layout.bit, corrections, bit);
  if (layout.truncates) {
    deal_additive<uint64_t>(d, Stream::shifted, layout.shifted, corrections,
                            [&](int i) { return r[i] >> f; });
    deal_additive<W>(d, Stream::wrap, layout.wrap, corrections, [&](int i) { return r[i] >> 63; });
  }
  if (layout.selects) {
    const int s = layout.truncates ? f : 0;
    deal_additive<uint64_t>(d, Stream::selected, layout.selected, corrections,
                            [&](int i) { return masked(r[i] >> s, i); });
  }
  if (layout.selects && layout.truncates) {
    deal_additive<W>(d, Stream::selected_wrap, layout.selected_wrap, corrections,
                     [&](int i) { return masked(r[i] >> 63, i); });
  }
}

template <int kWords, class W>
void deal_blocks(const ComparisonLayout& layout, const crypto::Prg* const* prgs, int parties,
                 Part part, const crypto::Prg& secret, uint8_t* corrections) {
  for (size_t b = part.first; b < layout.blocks; b += part.step) {
    const DealtBlock block{&layout, prgs, parties, b, layout.words_in_block(b)};
    deal_block<kWords, W>(block, secret, corrections);
  }
}

void deal(const ComparisonLayout& layout, const crypto::Prg* const* prgs, int parties, Part part,
          const crypto::Prg& secret, uint8_t* corrections) {
  if (layout.mode == Comparison::low_bits) {
    deal_blocks<1, uint16_t>(layout, prgs, parties, part, secret, corrections);
  } else if (layout.significant.words == 2) {
    const auto deal_all =
        layout.wrap_bytes == 2 ? deal_blocks<2, uint16_t> : deal_blocks<2, uint32_t>;
    deal_all(layout, prgs, parties, part, secret, corrections);
  } else if (layout.wrap_bytes == 2) {
    deal_blocks<4, uint16_t>(layout, prgs, parties, part, secret, corrections);
  } else {
    deal_blocks<4, uint32_t>(layout, prgs, parties, part, secret, corrections);
  }
}

void pick(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
          const uint64_t* others, uint64_t* out) {
  const int chunks = share.layout->chunks;
  const auto run = chunks == 16 ? pick_tables<4> : chunks == 8 ? pick_tables<2> : pick_tables<1>;
  run(share, state, own, others, out);
}

void combine(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
             const uint64_t* others, uint64_t* out) {
  const int chunks = share.layout->chunks;
  const auto run = chunks == 16  ? combine_level1<4>
                   : chunks == 8 ? combine_level1<2>
                                 : combine_level1<1>;
  run(share, state, own, others, out);
}

void finish(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
            const uint64_t* others, uint64_t* out) {
  const auto run = share.layout->chunks == 16 ? finish_level2<4> : finish_level2<2>;
  run(share, state, own, others, out);
}

void select(const ComparisonShare& share, const ComparisonState& state, const uint64_t* own,
            const uint64_t* others, uint64_t* result, uint64_t* bits) {
  share.layout->wrap_bytes == 2 ? select_by_mode<uint16_t>(share, state, own, others, result, bits)
                                : select_by_mode<uint32_t>(share, state, own, others, result, bits);
}

const ComparisonKernels kKernels{mask_elements, pick, combine, finish, select, deal};
