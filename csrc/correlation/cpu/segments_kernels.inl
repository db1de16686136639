// SPDX-License-Identifier: MIT
// The many-threshold kernels, written once over the lanes and steps included before.

using Stream = SegmentStream;
using Layout = SegmentsLayout;

// The field of one block: read from the corrections, or expanded into `scratch`.
// `lines` is the size of the field in a full block, in units of 64 bytes.
CT_INLINE const uint64_t* field(const SegmentsShare& share, Stream stream, size_t offset,
                                size_t block, size_t lines, uint64_t* scratch) {
  if (share.corrects(block)) {
    return reinterpret_cast<const uint64_t*>(share.corrections + offset + 64 * lines * block);
  }
  fill(*share.prg, stream, lines * block, scratch, 8 * lines * share.layout->words_in_block(block));
  return scratch;
}

CT_INLINE const uint64_t* value_field(const SegmentsShare& share, int index, size_t block,
                                      uint64_t* scratch) {
  const Stream stream = static_cast<Stream>(static_cast<uint64_t>(Stream::values) + index);
  return field(share, stream, share.layout->value_offset(index), block, 64, scratch);
}

CT_INLINE size_t count_in_block(const Layout& layout, size_t block) {
  const size_t left = layout.n - kBlock * block;
  return left < kBlock ? left : kBlock;
}

void mask_elements(const SegmentsShare& share, const uint64_t* x, uint64_t* out) {
  alignas(64) uint64_t r[kBlock];
  const Layout& layout = *share.layout;
  for (size_t b = 0; b < layout.blocks; ++b) {
    fill(*share.prg, Stream::mask, 64 * b, r, 64 * kWordsPerBlock * layout.words_in_block(b));
    const size_t count = count_in_block(layout, b);
    for (size_t i = 0; i < count; ++i) out[kBlock * b + i] = x[kBlock * b + i] + r[i];
  }
}

// All ones in the lanes where the words below `group` of c are less than those of t.
CT_INLINE Lanes borrow_into(const Lanes* words, uint64_t t, int group) {
  Lanes borrow{};
  for (int g = 0; g < group; ++g) {
    const auto threshold = static_cast<uint16_t>(t >> (16 * g));
    const Lanes word = Lanes{} + threshold;
    const Lanes less = reinterpret_cast<Lanes>(words[g] < word);
    const Lanes same = reinterpret_cast<Lanes>(words[g] == word);
    borrow = less | (same & borrow);
  }
  return borrow;
}

// Reads the four tables of one word at c - t, for the 32 elements of lane group q.
CT_INLINE void read_tables(const uint16_t* table, int q, const Lanes& word, int group,
                           const Lanes& constant, uint32_t (*less)[16], uint32_t (*equal)[16]) {
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const int chunk = 4 * group + c;
    Lanes entries;
    __builtin_memcpy(&entries, table + 32 * (16 * q + chunk), 64);
    const Lanes place = place_of(word, c, chunk == 15);
    less[c][q] = nonzero(entries & place);
    // eq[j] = lt[j] ^ lt[j - 1], with lt[-1] = 1.
    equal[c][q] = nonzero((entries ^ (entries + entries) ^ constant) & place);
  }
}

// The borrows into the words and the top bit of c - t: public numbers.
CT_INLINE void find_borrows(const SegmentsShare& share, const SegmentsState& state, size_t block,
                            int w, const Lanes (*words)[4]) {
  const Layout& layout = *share.layout;
  alignas(64) uint32_t plane[16] = {};
  const auto at = [&](int index, int planes) {
    return kWordsPerBlock * block * planes + static_cast<size_t>(index) * w;
  };
  const int k = layout.count();
  for (int j = 0; j < k; ++j) {
    const uint64_t t = layout.thresholds[j];
    for (int g = 1; g < kGroups; ++g) {
      if (!layout.paths[j].borrows(g)) continue;
      for (int q = 0; q < 2 * w; ++q) plane[q] = top_bits(borrow_into(words[q], t, g));
      __builtin_memcpy(state.borrows + at(3 * j + g - 1, 3 * k), plane, 8 * w);
    }
    for (int q = 0; q < 2 * w; ++q) {
      const Lanes top = words[q][3] - static_cast<uint16_t>(t >> 48) + borrow_into(words[q], t, 3);
      plane[q] = top_bits(top);  // the borrow is -1 in its lanes
    }
    __builtin_memcpy(state.top_bit + at(j, k), plane, 8 * w);
  }
}

void pick(const SegmentsShare& share, const SegmentsState& state, const uint64_t* own,
          const uint64_t* others, uint64_t* out) {
  const Layout& layout = *share.layout;
  alignas(64) uint32_t less[4][16] = {}, equal[4][16] = {};
  alignas(64) uint64_t table_scratch[kBlock * 4];
  alignas(64) uint64_t masks[kMaxThresholds * 8 * 7 * kWordsPerBlock];
  const uint16_t one = share.adds_constants ? 1 : 0;
  const Lanes constant = Lanes{} + one;
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    uint64_t* opened = state.opened + kBlock * b;
    const size_t count = count_in_block(layout, b);
    for (size_t i = 0; i < count; ++i) opened[i] = own[kBlock * b + i] + others[kBlock * b + i];
    for (size_t i = count; i < static_cast<size_t>(64 * w); ++i) opened[i] = 0;
    Lanes words[16][4];
    for (int q = 0; q < 2 * w; ++q) split_words(opened + 32 * q, words[q]);
    find_borrows(share, state, b, w, words);

    const auto* table = reinterpret_cast<const uint16_t*>(
        field(share, Stream::tables, layout.tables, b, 256, table_scratch));
    const int opened1 = layout.opened1;
    fill(*share.prg, Stream::level1_masks, opened1 * b, masks, 8 * opened1 * w);
    uint64_t* to = out + kWordsPerBlock * b * opened1;
    uint64_t* hidden = state.hidden + kWordsPerBlock * b * layout.nodes.size();
    int at = 0;
    const auto put = [&](const uint32_t* bits) __attribute__((always_inline)) {
      Plane plane;
      __builtin_memcpy(&plane, bits, 64);
      store(to + at * w, plane ^ load(masks + at * w, w), w);
      ++at;
    };
    for (const Layout::Node& node : layout.nodes) {
      for (int q = 0; q < 2 * w; ++q) {
        read_tables(table, q, words[q][node.group] - node.subtrahend, node.group, constant, less,
                    equal);
      }
      for (int c = 1; c < 4; ++c) put(equal[c]);
      for (int c = 0; c < 3; ++c) put(less[c]);
      if (node.group > 0) put(equal[0]);
      __builtin_memcpy(hidden, less[3], 8 * w);
      hidden += w;
    }
  }
}

void combine(const SegmentsShare& share, const SegmentsState& state, const uint64_t* own,
             const uint64_t* others, uint64_t* out) {
  const Layout& layout = *share.layout;
  const Plane one = Plane{} - static_cast<uint64_t>(share.adds_constants ? 1 : 0);
  const int k = layout.count(), nodes = static_cast<int>(layout.nodes.size());
  alignas(64) uint64_t masks[kMaxThresholds * 8 * 7 * kWordsPerBlock];
  std::vector<uint64_t> products_scratch(kWordsPerBlock * layout.products1 + 8);
  std::vector<Plane> less(nodes), equal(nodes);
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    fill(*share.prg, Stream::level1_masks, layout.opened1 * b, masks, 8 * layout.opened1 * w);
    const uint64_t* mask = masks;
    const uint64_t* product = field(share, Stream::level1_products, layout.level1, b,
                                    layout.products1, products_scratch.data());
    const uint64_t* mine = own + kWordsPerBlock * b * layout.opened1;
    const uint64_t* theirs = others + kWordsPerBlock * b * layout.opened1;
    uint64_t* hidden = state.hidden + kWordsPerBlock * b * nodes;
    for (int i = 0; i < nodes; ++i) {
      const Layout::Node& node = layout.nodes[i];
      if (node.group == 0) {
        run_node<Node<4, false>>(mine, theirs, mask, product, hidden + i * w, one, w, less[i],
                                 equal[i]);
      } else {
        run_node<Node<4, true>>(mine, theirs, mask, product, hidden + i * w, one, w, less[i],
                                equal[i]);
      }
      mine += layout.opened_of(node) * w;
      theirs += layout.opened_of(node) * w;
      mask += layout.opened_of(node) * w;
      product += layout.products_of(node) * w;
    }

    fill(*share.prg, Stream::level2_masks, layout.opened2 * b, masks, 8 * layout.opened2 * w);
    uint64_t* to = out + kWordsPerBlock * b * layout.opened2;
    const uint64_t* borrows = state.borrows + kWordsPerBlock * b * 3 * k;
    int at = 0;
    const auto put = [&](const Plane& bits) __attribute__((always_inline)) {
      store(to + at * w, bits ^ load(masks + at * w, w), w);
      ++at;
    };
    for (int j = 0; j < k; ++j) {
      // The node of a word depends on a public borrow, element by element.
      Plane l[kGroups], e[kGroups];
      for (int g = 0; g < kGroups; ++g) {
        const int* node = layout.paths[j].node[g];
        l[g] = less[node[0]];
        e[g] = equal[node[0]];
        if (layout.paths[j].borrows(g)) {
          const Plane borrow = load(borrows + (3 * j + g - 1) * w, w);
          l[g] ^= borrow & (l[g] ^ less[node[1]]);
          e[g] ^= borrow & (e[g] ^ equal[node[1]]);
        }
      }
      for (int g = 1; g < kGroups; ++g) put(e[g]);
      for (int g = 0; g < kGroups - 1; ++g) put(l[g]);
      store(hidden + j * w, l[kGroups - 1], w);
    }
  }
}

void finish(const SegmentsShare& share, const SegmentsState& state, const uint64_t* own,
            const uint64_t* others, uint64_t* out) {
  const Layout& layout = *share.layout;
  const Plane one = Plane{} - static_cast<uint64_t>(share.adds_constants ? 1 : 0);
  const int k = layout.count(), nodes = static_cast<int>(layout.nodes.size());
  constexpr int kOpened = Layout::Top::kOpened, kProducts = Layout::Top::kProducts;
  alignas(64) uint64_t masks[kMaxThresholds * kOpened * kWordsPerBlock];
  alignas(64) uint64_t products[kMaxThresholds * kProducts * kWordsPerBlock];
  alignas(64) uint64_t offsets[kMaxThresholds * kWordsPerBlock];
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    fill(*share.prg, Stream::level2_masks, layout.opened2 * b, masks, 8 * layout.opened2 * w);
    const uint64_t* product =
        field(share, Stream::level2_products, layout.level2, b, layout.products2, products);
    const uint64_t* offset = field(share, Stream::bit_offset, layout.bit_offset, b, k, offsets);
    const uint64_t* hidden = state.hidden + kWordsPerBlock * b * nodes;
    const uint64_t* top = state.top_bit + kWordsPerBlock * b * k;
    const size_t at = kWordsPerBlock * b * layout.opened2;
    for (int j = 0; j < k; ++j) {
      Plane less, unused;
      run_node<Node<kGroups, false>>(own + at + j * kOpened * w, others + at + j * kOpened * w,
                                     masks + j * kOpened * w, product + j * kProducts * w,
                                     hidden + j * w, one, w, less, unused);
      // The bit under the dealer's: [c - t < r] ^ (c - t)_63 ^ offset, which holds r_63 as well.
      Plane bit = less ^ load(offset + j * w, w);
      if (share.adds_constants) bit ^= load(top + j * w, w);
      store(out + kWordsPerBlock * b * k + j * w, bit, w);
    }
  }
}

// Shares of b x^i for i = 0..degree from shares of b r^i, x = c - r.
CT_INLINE void to_powers_of_x(int degree, const Plane& c, Plane* v) {
  if (degree == 3) v[3] = c * (c * (c * v[0] - 3 * v[1]) + 3 * v[2]) - v[3];
  if (degree >= 2) v[2] = c * (c * v[0] - 2 * v[1]) + v[2];
  if (degree >= 1) v[1] = c * v[0] - v[1];
}

template <int kDegree>
void evaluate_forms(const SegmentsShare& share, const SegmentsState& state, const uint64_t* own,
                    const uint64_t* others, const uint64_t* x,
                    const std::vector<SegmentsForm>& forms) {
  const Layout& layout = *share.layout;
  const int k = layout.count();
  const size_t terms = kDegree + 1;
  const Plane unit = Plane{} + static_cast<uint64_t>(share.adds_constants ? 1 : 0);
  alignas(64) uint64_t r[kBlock], dealt_scratch[terms][kBlock], powers_scratch[2][kBlock];
  alignas(64) uint64_t chosen[terms][kBlock];  // shares of b x^i
  std::vector<uint64_t> sums_storage(forms.size() * kBlock + 8);
  for (size_t b = 0; b < layout.blocks; ++b) {
    const int w = layout.words_in_block(b);
    const size_t count = count_in_block(layout, b);
    const uint64_t* opened = state.opened + kBlock * b;
    const uint64_t* powers[2] = {};
    if constexpr (kDegree >= 1) fill(*share.prg, Stream::mask, 64 * b, r, 512 * w);
    for (int i = 2; i <= kDegree; ++i) {
      powers[i - 2] = value_field(share, k * (kDegree + 1) + i - 2, b, powers_scratch[i - 2]);
    }
    uint64_t* sums = sums_storage.data();
    for (size_t i = 0; i < static_cast<size_t>(64 * w); i += 8) {
      Plane v[terms] = {unit};
      if constexpr (kDegree >= 1) v[1] = load(r + i, 8);
      if constexpr (kDegree >= 2) v[2] = load(powers[0] + i, 8);
      if constexpr (kDegree >= 3) v[3] = load(powers[1] + i, 8);
      to_powers_of_x(kDegree, load(opened + i, 8), v);
      if constexpr (kDegree >= 1) {
        Plane own_x{};
        for (size_t e = 0; e < 8 && i + e < count; ++e) own_x[e] = x[kBlock * b + i + e];
        v[1] = own_x;
      }
      for (size_t o = 0; o < forms.size(); ++o) {
        Plane sum{};
        for (size_t d = 0; d < terms; ++d) sum += forms[o].base[d] * v[d];
        store(sums + kBlock * o + i, sum, 8);
      }
    }
    for (int j = 0; j < k; ++j) {
      const size_t at = kWordsPerBlock * b * k + static_cast<size_t>(j) * w;
      const uint8_t* mine = reinterpret_cast<const uint8_t*>(own + at);
      const uint8_t* theirs = reinterpret_cast<const uint8_t*>(others + at);
      const uint64_t* dealt[terms];
      for (size_t d = 0; d < terms; ++d) {
        dealt[d] = value_field(share, static_cast<int>(j * terms + d), b, dealt_scratch[d]);
      }
      for (size_t i = 0; i < static_cast<size_t>(64 * w); i += 8) {
        // b = e ^ v: all ones where the opened e is 1, and there b r^i = r^i - v r^i.
        const Plane flip = Plane{} - spread(mine[i / 8] ^ theirs[i / 8]);
        Plane v[terms];
        for (size_t d = 0; d < terms; ++d) {
          const Plane whole = d == 0 ? unit : load((d == 1 ? r : powers[d - 2]) + i, 8);
          const Plane part = load(dealt[d] + i, 8);
          v[d] = ((part ^ flip) - flip) + (flip & whole);
        }
        to_powers_of_x(kDegree, load(opened + i, 8), v);
        for (size_t d = 0; d < terms; ++d) store(chosen[d] + i, v[d], 8);
      }
      for (size_t o = 0; o < forms.size(); ++o) {
        uint64_t* sum = sums + kBlock * o;
        for (size_t d = 0; d < terms; ++d) {
          const uint64_t step = forms[o].steps[j * terms + d];
          if (step == 0) continue;
          for (size_t i = 0; i < static_cast<size_t>(64 * w); i += 8) {
            store(sum + i, load(sum + i, 8) + step * load(chosen[d] + i, 8), 8);
          }
        }
      }
    }
    for (size_t o = 0; o < forms.size(); ++o) {
      __builtin_memcpy(forms[o].out + kBlock * b, sums + kBlock * o, 8 * count);
    }
  }
}

void evaluate(const SegmentsShare& share, const SegmentsState& state, const uint64_t* own,
              const uint64_t* others, const uint64_t* x, const std::vector<SegmentsForm>& forms) {
  switch (share.layout->degree) {
    case 0:
      return evaluate_forms<0>(share, state, own, others, x, forms);
    case 1:
      return evaluate_forms<1>(share, state, own, others, x, forms);
    case 2:
      return evaluate_forms<2>(share, state, own, others, x, forms);
    default:
      return evaluate_forms<3>(share, state, own, others, x, forms);
  }
}
