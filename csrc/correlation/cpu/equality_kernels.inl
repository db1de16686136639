// SPDX-License-Identifier: MIT
// The equality kernels, written once over the lanes and steps included before.

using Stream = EqualityStream;
using Layout = EqualityLayout;

// The AND of some bits, opened under mask bits whose monomials the dealer has shared.
template <int kFan>
struct AndNode {
  static constexpr int kSubsets = 1 << kFan;

  static CT_INLINE void products(const Plane* mask, Plane* out) {
    Plane subset[kSubsets];
    int k = 0;
#pragma GCC unroll 64
    for (int s = 1; s < kSubsets; ++s) {
      const int low = __builtin_ctz(s), rest = s & (s - 1);
      subset[s] = rest ? subset[rest] & mask[low] : mask[low];
      if (rest) out[k++] = subset[s];
    }
  }

  static CT_INLINE Plane evaluate(const Plane* opened, const Plane* mask, const Plane* product,
                                  const Plane& one) {
    Plane fold[kSubsets];
    int k = 0;
    fold[0] = one;
#pragma GCC unroll 64
    for (int s = 1; s < kSubsets; ++s) {
      fold[s] = (s & (s - 1)) ? product[k++] : mask[__builtin_ctz(s)];
    }
#pragma GCC unroll 8
    for (int i = 0; i < kFan; ++i) {
#pragma GCC unroll 64
      for (int s = 0; s < kSubsets; s += 2 << i) {
        fold[s] = fold[s | (1 << i)] ^ (opened[i] & fold[s]);
      }
    }
    return fold[0];
  }
};

// Calls fn<fan>(node, first chunk, first product) for each node.
template <class Fn>
CT_INLINE void for_each_node(const Fn& fn) {
  constexpr int kSix = and_products(6), kFive = and_products(5);
  fn.template operator()<6>(0, Layout::kFirst[0], 0);
  fn.template operator()<5>(1, Layout::kFirst[1], kSix);
  fn.template operator()<5>(2, Layout::kFirst[2], kSix + kFive);
}

CT_INLINE const uint64_t* field(const EqualityShare& share, uint64_t stream, size_t offset,
                                size_t block, size_t lines, uint64_t* scratch) {
  if (share.corrects(block)) {
    return reinterpret_cast<const uint64_t*>(share.corrections + offset + 64 * lines * block);
  }
  share.prg->fill(stream, lines * block, scratch, 8 * lines * share.layout->words_in_block(block));
  return scratch;
}

void mask_elements(const EqualityShare& share, const uint64_t* x, uint64_t* out) {
  const Layout& layout = *share.layout;
  alignas(64) uint64_t r[kBlock];
  for (size_t b = 0; b < layout.blocks; ++b) {
    fill(*share.prg, Stream::mask, 64 * b, r, 512 * layout.words_in_block(b));
    const size_t count = std::min(kBlock, layout.n - kBlock * b);
    for (size_t i = 0; i < count; ++i) out[kBlock * b + i] = x[kBlock * b + i] + r[i];
  }
}

void pick(const EqualityShare& share, const uint64_t* own, const uint64_t* others, uint64_t* out) {
  const Layout& layout = *share.layout;
  alignas(64) uint32_t equal[16][16] = {};
  alignas(64) uint64_t opened[kBlock], scratch[kBlock * 4], masks[16 * kWordsPerBlock];
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    const size_t count = std::min(kBlock, layout.n - kBlock * b);
    for (size_t i = 0; i < count; ++i) opened[i] = own[kBlock * b + i] + others[kBlock * b + i];
    for (size_t i = count; i < static_cast<size_t>(64 * w); ++i) opened[i] = 0;
    const auto* table = reinterpret_cast<const uint16_t*>(
        field(share, static_cast<uint64_t>(Stream::tables), layout.tables, b, 256, scratch));
    for (int q = 0; q < 2 * w; ++q) {
      Lanes words[4];
      split_words(opened + 32 * q, words);
#pragma GCC unroll 16
      for (int c = 0; c < 16; ++c) {
        Lanes entries;
        __builtin_memcpy(&entries, table + 32 * (16 * q + c), 64);
        equal[c][q] = nonzero(entries & place_of(words[c / 4], c % 4, false));
      }
    }
    fill(*share.prg, Stream::level1_masks, 16 * b, masks, 8 * 16 * w);
    for (int c = 0; c < 16; ++c) {
      Plane plane;
      __builtin_memcpy(&plane, equal[c], 64);
      store(out + kWordsPerBlock * b * 16 + c * w, plane ^ load(masks + c * w, w), w);
    }
  }
}

void combine(const EqualityShare& share, const uint64_t* own, const uint64_t* others,
             uint64_t* out) {
  const Layout& layout = *share.layout;
  const Plane one = Plane{} - static_cast<uint64_t>(share.adds_constants ? 1 : 0);
  alignas(64) uint64_t masks1[16 * kWordsPerBlock], masks2[Layout::kOpened2 * kWordsPerBlock];
  alignas(64) uint64_t scratch[Layout::kProducts1 * kWordsPerBlock];
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    fill(*share.prg, Stream::level1_masks, 16 * b, masks1, 8 * 16 * w);
    fill(*share.prg, Stream::level2_masks, Layout::kOpened2 * b, masks2, 8 * Layout::kOpened2 * w);
    const uint64_t* products = field(share, static_cast<uint64_t>(Stream::level1_products), 0, b,
                                     Layout::kProducts1, scratch);
    const size_t at = kWordsPerBlock * b * 16;
    for_each_node([&]<int kFan>(int node, int chunk, int first) {
      Plane opened[kFan], mask[kFan], product[and_products(kFan)];
      for (int i = 0; i < kFan; ++i) {
        const int line = (chunk + i) * w;
        opened[i] = load(own + at + line, w) ^ load(others + at + line, w);
        mask[i] = load(masks1 + line, w);
      }
      for (int i = 0; i < and_products(kFan); ++i) {
        product[i] = load(products + (first + i) * w, w);
      }
      const Plane all = AndNode<kFan>::evaluate(opened, mask, product, one);
      store(out + kWordsPerBlock * b * Layout::kOpened2 + node * w,
            all ^ load(masks2 + node * w, w), w);
    });
  }
}

// The bits e_i are all 1 exactly where the mask bits are the complement of what is opened.
void finish(const EqualityShare& share, const uint64_t* own, const uint64_t* others,
            uint64_t* result) {
  const Layout& layout = *share.layout;
  std::vector<uint64_t> scratch(kBlock * Layout::kValues);
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    const uint64_t* value[Layout::kValues];
    for (int k = 0; k < Layout::kValues; ++k) {
      value[k] = field(share, static_cast<uint64_t>(Stream::values) + k,
                       layout.values + 8 * layout.padded * k, b, 64, scratch.data() + kBlock * k);
    }
    const size_t at = kWordsPerBlock * b * Layout::kOpened2;
    const size_t count = std::min(kBlock, layout.n - kBlock * b);
    const auto* mine = reinterpret_cast<const uint8_t*>(own + at);
    const auto* theirs = reinterpret_cast<const uint8_t*>(others + at);
    for (size_t i = 0; i < count; i += 8) {
      Plane entry{};
      for (int bit = 0; bit < Layout::kNodes; ++bit) {
        const size_t byte = 8 * bit * w + i / 8;
        entry |= spread(~(mine[byte] ^ theirs[byte])) << bit;
      }
      Plane chosen{};
      for (uint64_t k = 0; k < Layout::kValues; ++k) {
        const auto here = entry == k;
        chosen |= reinterpret_cast<const Plane&>(here) & load(value[k] + i, 8);
      }
      store(result + kBlock * b + i, chosen, static_cast<int>(std::min<size_t>(8, count - i)));
    }
  }
}

// Combined streams of `parties` parties.
template <bool kXor>
CT_INLINE void gather(const crypto::Prg* const* prgs, int parties, uint64_t stream, size_t line,
                      size_t count, uint64_t* out, uint64_t* scratch) {
  prgs[0]->fill(stream, line, out, 8 * count);
  for (int p = 1; p < parties; ++p) {
    prgs[p]->fill(stream, line, scratch, 8 * count);
    for (size_t i = 0; i < count; ++i) out[i] = kXor ? out[i] ^ scratch[i] : out[i] + scratch[i];
  }
}

void deal(const Layout& layout, const crypto::Prg* const* prgs, int parties, Part part,
          uint8_t* corrections) {
  alignas(64) uint64_t r[kBlock], scratch[kBlock * 4], masks[16 * kWordsPerBlock];
  const auto stream = [](Stream s) { return static_cast<uint64_t>(s); };
  for (size_t b = part.first; b < layout.blocks; b += part.step) {
    const int w = layout.words_in_block(b);
    gather<false>(prgs, parties, stream(Stream::mask), 64 * b, 64 * w, r, scratch);
    auto* table_words = reinterpret_cast<uint64_t*>(corrections + layout.tables) + kBlock * 4 * b;
    gather<true>(prgs, parties - 1, stream(Stream::tables), 256 * b, 256 * w, table_words, scratch);
    for (int q = 0; q < 2 * w; ++q) {
      Lanes words[4];
      split_words(r + 32 * q, words);
#pragma GCC unroll 16
      for (int c = 0; c < 16; ++c) {
        uint16_t* at = reinterpret_cast<uint16_t*>(table_words) + 32 * (16 * q + c);
        Lanes entries;
        __builtin_memcpy(&entries, at, 64);
        entries ^= place_of(words[c / 4], c % 4, false);
        __builtin_memcpy(at, &entries, 64);
      }
    }
    gather<true>(prgs, parties, stream(Stream::level1_masks), 16 * b, 16 * w, masks, scratch);
    uint64_t* products =
        reinterpret_cast<uint64_t*>(corrections) + kWordsPerBlock * Layout::kProducts1 * b;
    gather<true>(prgs, parties - 1, stream(Stream::level1_products), Layout::kProducts1 * b,
                 Layout::kProducts1 * w, products, scratch);
    for_each_node([&]<int kFan>(int, int chunk, int first) {
      Plane mask[kFan], product[and_products(kFan)];
      for (int i = 0; i < kFan; ++i) mask[i] = load(masks + (chunk + i) * w, w);
      AndNode<kFan>::products(mask, product);
      for (int i = 0; i < and_products(kFan); ++i) {
        uint64_t* at = products + (first + i) * w;
        store(at, load(at, w) ^ product[i], w);
      }
    });
    gather<true>(prgs, parties, stream(Stream::level2_masks), Layout::kOpened2 * b,
                 Layout::kOpened2 * w, masks, scratch);
    const auto* bytes = reinterpret_cast<const uint8_t*>(masks);
    for (uint64_t k = 0; k < Layout::kValues; ++k) {
      uint64_t* out =
          reinterpret_cast<uint64_t*>(corrections + layout.values) + layout.padded * k + kBlock * b;
      gather<false>(prgs, parties - 1, stream(Stream::values) + k, 64 * b, 64 * w, out, scratch);
      for (int i = 0; i < 64 * w; i += 8) {
        Plane entry{};
        for (int bit = 0; bit < Layout::kNodes; ++bit)
          entry |= spread(bytes[8 * bit * w + i / 8]) << bit;
        const auto here = entry == k;
        store(out + i, (reinterpret_cast<const Plane&>(here) & 1) - load(out + i, 8), 8);
      }
    }
  }
}

const EqualityKernels kKernels{mask_elements, pick, combine, finish, deal};
