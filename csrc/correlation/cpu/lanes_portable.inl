// SPDX-License-Identifier: MIT
// 32 elements of 16 bits in a vector, for any processor.

typedef uint16_t Lanes __attribute__((vector_size(64)));

CT_INLINE void split_words(const uint64_t* elements, Lanes* words) {
  for (int i = 0; i < 32; ++i) {
    for (int j = 0; j < 4; ++j) words[j][i] = static_cast<uint16_t>(elements[i] >> (16 * j));
  }
}

CT_INLINE uint32_t top_bits(const Lanes& lanes) {
  uint32_t mask = 0;
  for (int i = 0; i < 32; ++i) mask |= static_cast<uint32_t>(lanes[i] >> 15) << i;
  return mask;
}

CT_INLINE uint32_t nonzero(const Lanes& lanes) {
  uint32_t mask = 0;
  for (int i = 0; i < 32; ++i) mask |= static_cast<uint32_t>(lanes[i] != 0) << i;
  return mask;
}
