// SPDX-License-Identifier: MIT
// Steps that every comparison takes, with one threshold or many. The including file provides the
// lanes of its instruction set.

template <class Stream>
CT_INLINE void fill(const crypto::Prg& prg, Stream stream, size_t line, void* to, size_t bytes) {
  prg.fill(static_cast<uint64_t>(stream), line, to, bytes);
}

// 1 << chunk of each element: the place of the chunk's value in a 16-entry table. The top chunk of
// a 64-bit element has three bits: bit 63 is treated apart.
CT_INLINE Lanes place_of(const Lanes& words, int chunk_in_word, bool three_bits) {
  const Lanes ones = Lanes{} + 1;
  const uint16_t low_bits = three_bits ? 7 : 15;
  const Lanes nibble = (words >> (4 * chunk_in_word)) & low_bits;
  return ones << nibble;
}

// Reads the opened bits of one node and evaluates it.
template <class N>
CT_INLINE void run_node(const uint64_t* own, const uint64_t* others, const uint64_t* masks,
                        const uint64_t* products, const uint64_t* hidden, const Plane& one, int w,
                        Plane& less, Plane& equal) {
  Plane opened[N::kOpened], mask[N::kOpened], product[N::kProducts];
#pragma GCC unroll 8
  for (int j = 0; j < N::kOpened; ++j) {
    mask[j] = load(masks + j * w, w);
    opened[j] = load(own + j * w, w) ^ load(others + j * w, w);
  }
#pragma GCC unroll 24
  for (int j = 0; j < N::kProducts; ++j) product[j] = load(products + j * w, w);
  N::evaluate(opened, mask, product, load(hidden, w), one, less, equal);
}

// Bit i of a byte as element i.
CT_INLINE Plane spread(uint8_t bits) {
  const Plane index = {0, 1, 2, 3, 4, 5, 6, 7};
  return ((Plane{} + static_cast<uint64_t>(bits)) >> index) & 1;
}
