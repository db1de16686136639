// SPDX-License-Identifier: MIT
// 32 elements of 16 bits in a vector, for AVX-512 BW and DQ.

typedef uint16_t Lanes __attribute__((vector_size(64)));

// 32 elements to four vectors of 32 lanes: word j of each.
CT_INLINE void split_words(const uint64_t* elements, Lanes* words) {
  alignas(64) static const uint16_t kLow[32] = {0,  4,  8,  12, 16, 20, 24, 28, 32, 36, 40,
                                                44, 48, 52, 56, 60, 1,  5,  9,  13, 17, 21,
                                                25, 29, 33, 37, 41, 45, 49, 53, 57, 61};
  const __m512i low = _mm512_load_si512(kLow);
  const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(2));
  const __m512i a = _mm512_loadu_si512(elements), b = _mm512_loadu_si512(elements + 8);
  const __m512i c = _mm512_loadu_si512(elements + 16), d = _mm512_loadu_si512(elements + 24);
  const __m512i p = _mm512_permutex2var_epi16(a, low, b), q = _mm512_permutex2var_epi16(c, low, d);
  const __m512i s = _mm512_permutex2var_epi16(a, high, b),
                t = _mm512_permutex2var_epi16(c, high, d);
  // The zero-masking form with a full mask: GCC 12 warns of its own header in the plain one.
  words[0] = reinterpret_cast<Lanes>(_mm512_maskz_shuffle_i64x2(0xff, p, q, 0x44));
  words[1] = reinterpret_cast<Lanes>(_mm512_maskz_shuffle_i64x2(0xff, p, q, 0xee));
  words[2] = reinterpret_cast<Lanes>(_mm512_maskz_shuffle_i64x2(0xff, s, t, 0x44));
  words[3] = reinterpret_cast<Lanes>(_mm512_maskz_shuffle_i64x2(0xff, s, t, 0xee));
}

CT_INLINE uint32_t top_bits(const Lanes& lanes) {
  return _mm512_movepi16_mask(reinterpret_cast<__m512i>(lanes));
}

CT_INLINE uint32_t nonzero(const Lanes& lanes) {
  const __m512i v = reinterpret_cast<__m512i>(lanes);
  return _mm512_test_epi16_mask(v, v);
}
