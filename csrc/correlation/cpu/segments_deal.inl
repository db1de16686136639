// SPDX-License-Identifier: MIT
// The dealer's pass of a comparison with many thresholds.

struct DealtBlock {
  const Layout* layout;
  const crypto::Prg* const* prgs;
  int parties;
  size_t block;
  int words;
};

// Combined streams of `parties` parties: the value of a mask, or what the others hold of a field.
template <bool kXor>
CT_INLINE void gather(const DealtBlock& d, int parties, Stream stream, size_t lines, uint64_t* out,
                      uint64_t* scratch) {
  const size_t count = lines * d.words;
  fill(*d.prgs[0], stream, lines * d.block, out, 8 * count);
  for (int p = 1; p < parties; ++p) {
    fill(*d.prgs[p], stream, lines * d.block, scratch, 8 * count);
    for (size_t i = 0; i < count; ++i) out[i] = kXor ? out[i] ^ scratch[i] : out[i] + scratch[i];
  }
}

void deal_tables(const DealtBlock& d, const uint64_t* r, uint8_t* corrections, uint64_t* scratch,
                 uint32_t* top) {
  auto* tables =
      reinterpret_cast<uint16_t*>(corrections + d.layout->tables) + kBlock * 16 * d.block;
  gather<true>(d, d.parties - 1, Stream::tables, 256, reinterpret_cast<uint64_t*>(tables), scratch);
  const Lanes ones = Lanes{} + 1;
  for (int q = 0; q < 2 * d.words; ++q) {
    Lanes words[4];
    split_words(r + 32 * q, words);
#pragma GCC unroll 16
    for (int c = 0; c < 16; ++c) {
      Lanes entries;
      uint16_t* at = tables + 32 * (16 * q + c);
      __builtin_memcpy(&entries, at, 64);
      entries ^= place_of(words[c / 4], c % 4, c == 15) - ones;  // bit j set for j < r_c
      __builtin_memcpy(at, &entries, 64);
    }
    top[q] = top_bits(words[3]);
  }
}

// Corrects the monomials of one node: `products` holds what the others expand.
template <class N>
CT_INLINE void deal_node(const uint64_t* masks, uint64_t* products, int w) {
  Plane mask[N::kOpened], product[N::kProducts];
#pragma GCC unroll 8
  for (int i = 0; i < N::kOpened; ++i) mask[i] = load(masks + i * w, w);
  N::products(mask, product);
#pragma GCC unroll 24
  for (int i = 0; i < N::kProducts; ++i) {
    store(products + i * w, load(products + i * w, w) ^ product[i], w);
  }
}

struct DealerScratch {
  std::vector<uint64_t> masks, other;
};

void deal_levels(const DealtBlock& d, uint8_t* corrections, DealerScratch& scratch) {
  const Layout& layout = *d.layout;
  const int w = d.words;
  const auto products = [&](size_t offset, int count) {
    return reinterpret_cast<uint64_t*>(corrections + offset) + kWordsPerBlock * count * d.block;
  };
  const uint64_t* mask = scratch.masks.data();
  gather<true>(d, d.parties, Stream::level1_masks, layout.opened1, scratch.masks.data(),
               scratch.other.data());
  uint64_t* product = products(layout.level1, layout.products1);
  gather<true>(d, d.parties - 1, Stream::level1_products, layout.products1, product,
               scratch.other.data());
  for (const Layout::Node& node : layout.nodes) {
    node.group == 0 ? deal_node<Node<4, false>>(mask, product, w)
                    : deal_node<Node<4, true>>(mask, product, w);
    mask += layout.opened_of(node) * w;
    product += layout.products_of(node) * w;
  }
  mask = scratch.masks.data();
  gather<true>(d, d.parties, Stream::level2_masks, layout.opened2, scratch.masks.data(),
               scratch.other.data());
  product = products(layout.level2, layout.products2);
  gather<true>(d, d.parties - 1, Stream::level2_products, layout.products2, product,
               scratch.other.data());
  for (int j = 0; j < layout.count(); ++j) {
    deal_node<Node<kGroups, false>>(mask, product, w);
    mask += Layout::Top::kOpened * w;
    product += Layout::Top::kProducts * w;
  }
}

// The last share of a field of values: the value less what the others expand.
template <class Value>
CT_INLINE void deal_values(const DealtBlock& d, int index, uint8_t* corrections, uint64_t* scratch,
                           const Value& value) {
  uint64_t* out =
      reinterpret_cast<uint64_t*>(corrections + d.layout->value_offset(index)) + kBlock * d.block;
  const auto stream = static_cast<Stream>(static_cast<uint64_t>(Stream::values) + index);
  gather<false>(d, d.parties - 1, stream, 64, out, scratch);
  for (int i = 0; i < 64 * d.words; i += 8) store(out + i, value(i) - load(out + i, 8), 8);
}

void deal_block(const DealtBlock& d, const crypto::Prg& secret, uint8_t* corrections,
                DealerScratch& scratch) {
  const Layout& layout = *d.layout;
  const int k = layout.count(), w = d.words, degree = layout.degree;
  alignas(64) uint64_t r[kBlock], bits[kMaxThresholds * kWordsPerBlock];
  alignas(64) uint32_t top[16] = {};
  uint64_t* other = scratch.other.data();
  gather<false>(d, d.parties, Stream::mask, 64, r, other);
  deal_tables(d, r, corrections, other, top);
  deal_levels(d, corrections, scratch);

  // b_j = [x >= t_j] = 1 ^ [c - t < r] ^ (c - t)_63 ^ r_63 is opened under the dealer's bit.
  fill(secret, Stream::bits, k * d.block, bits, 8 * k * w);
  uint64_t* offset =
      reinterpret_cast<uint64_t*>(corrections + layout.bit_offset) + kWordsPerBlock * k * d.block;
  gather<true>(d, d.parties - 1, Stream::bit_offset, k, offset, other);
  uint64_t tops[kWordsPerBlock];
  __builtin_memcpy(tops, top, sizeof tops);
  for (int j = 0; j < k; ++j) {
    for (int i = 0; i < w; ++i) offset[j * w + i] ^= bits[j * w + i] ^ tops[i] ^ ~uint64_t{0};
  }

  for (int j = 0; j < k; ++j) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(bits + j * w);
    for (int power = 0; power <= degree; ++power) {
      deal_values(d, j * (degree + 1) + power, corrections, other, [&](int i) {
        const Plane chosen = Plane{} - spread(bytes[i / 8]);
        Plane value = Plane{} + 1;
        for (int p = 0; p < power; ++p) value *= load(r + i, 8);
        return chosen & value;
      });
    }
  }
  for (int power = 2; power <= degree; ++power) {
    deal_values(d, k * (degree + 1) + power - 2, corrections, other, [&](int i) {
      Plane value = load(r + i, 8);
      for (int p = 1; p < power; ++p) value *= load(r + i, 8);
      return value;
    });
  }
}

void deal(const Layout& layout, const crypto::Prg* const* prgs, int parties, Part part,
          const crypto::Prg& secret, uint8_t* corrections) {
  DealerScratch scratch;
  scratch.masks.resize(kWordsPerBlock * std::max(layout.opened1, layout.opened2) + 8);
  scratch.other.resize(
      std::max<size_t>(kBlock * 4, kWordsPerBlock * std::max(layout.products1, layout.products2)) +
      8);
  for (size_t b = part.first; b < layout.blocks; b += part.step) {
    const DealtBlock block{&layout, prgs, parties, b, layout.words_in_block(b)};
    deal_block(block, secret, corrections, scratch);
  }
}

const SegmentsKernels kKernels{mask_elements, pick, combine, finish, evaluate, deal};
