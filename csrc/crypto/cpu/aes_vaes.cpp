// SPDX-License-Identifier: MIT
#include "crypto/cpu/aes_vaes.h"

#include <immintrin.h>

namespace cryptensor::crypto {
namespace {

constexpr int kRounds = 10;
constexpr size_t kRegisterBytes = 64;  // 4 blocks

// One vaesenc waits for the one before it; 8 independent registers keep the unit busy meanwhile.
constexpr int kInFlight = 8;

// FIPS 197, section 5.2. The round constant is an immediate operand, hence a template.
template <int kRoundConstant>
inline __m128i next_round_key(__m128i key) {
  const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, kRoundConstant), 0xff);
  // The prefix xor of the four words in two steps.
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

// With a full mask, because GCC 12 warns of an uninitialised value in the form without one.
inline __m512i four_times(__m128i block) { return _mm512_maskz_broadcast_i32x4(0xffff, block); }

inline __m512i round_key(const uint8_t* schedule, int round) {
  return four_times(_mm_load_si128(reinterpret_cast<const __m128i*>(schedule) + round));
}

template <int kCount>
inline __attribute__((always_inline)) void encrypt(const uint8_t* schedule, __m512i* state) {
  __m512i key = round_key(schedule, 0);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) state[i] = _mm512_xor_si512(state[i], key);
#pragma GCC unroll 9
  for (int round = 1; round < kRounds; ++round) {
    key = round_key(schedule, round);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) state[i] = _mm512_aesenc_epi128(state[i], key);
  }
  key = round_key(schedule, kRounds);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) state[i] = _mm512_aesenclast_epi128(state[i], key);
}

// Four counter blocks. Kept as native integers, which can be added to, and turned to the
// big-endian order of SP 800-38A on each use.
struct Counters {
  __m512i blocks;

  Counters(uint64_t high, uint64_t low) {
    const auto h = static_cast<long long>(high);
    const auto l = static_cast<long long>(low);
    blocks = _mm512_add_epi64(_mm512_set_epi64(l, h, l, h, l, h, l, h),
                              _mm512_set_epi64(3, 0, 2, 0, 1, 0, 0, 0));
  }

  __m512i next() {
    const __m512i byte_order =
        four_times(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    const __m512i result = _mm512_shuffle_epi8(blocks, byte_order);
    blocks = _mm512_add_epi64(blocks, _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0));
    return result;
  }
};

}  // namespace

void expand_key_vaes(uint8_t* schedule) {
  auto* keys = reinterpret_cast<__m128i*>(schedule);
  __m128i key = _mm_load_si128(keys);
  _mm_store_si128(keys + 1, key = next_round_key<0x01>(key));
  _mm_store_si128(keys + 2, key = next_round_key<0x02>(key));
  _mm_store_si128(keys + 3, key = next_round_key<0x04>(key));
  _mm_store_si128(keys + 4, key = next_round_key<0x08>(key));
  _mm_store_si128(keys + 5, key = next_round_key<0x10>(key));
  _mm_store_si128(keys + 6, key = next_round_key<0x20>(key));
  _mm_store_si128(keys + 7, key = next_round_key<0x40>(key));
  _mm_store_si128(keys + 8, key = next_round_key<0x80>(key));
  _mm_store_si128(keys + 9, key = next_round_key<0x1b>(key));
  _mm_store_si128(keys + 10, key = next_round_key<0x36>(key));
}

void aes_ctr_vaes(const uint8_t* schedule, uint64_t high, uint64_t low, uint8_t* destination,
                  size_t n) {
  Counters counters(high, low);
  __m512i state[kInFlight];
  while (n >= kInFlight * kRegisterBytes) {
#pragma GCC unroll 8
    for (int i = 0; i < kInFlight; ++i) state[i] = counters.next();
    encrypt<kInFlight>(schedule, state);
#pragma GCC unroll 8
    for (int i = 0; i < kInFlight; ++i) {
      _mm512_storeu_si512(destination + i * kRegisterBytes, state[i]);
    }
    destination += kInFlight * kRegisterBytes;
    n -= kInFlight * kRegisterBytes;
  }
  while (n >= kRegisterBytes) {
    state[0] = counters.next();
    encrypt<1>(schedule, state);
    _mm512_storeu_si512(destination, state[0]);
    destination += kRegisterBytes;
    n -= kRegisterBytes;
  }
  if (n > 0) {
    state[0] = counters.next();
    encrypt<1>(schedule, state);
    _mm512_mask_storeu_epi8(destination, (uint64_t{1} << n) - 1, state[0]);
  }
}

}  // namespace cryptensor::crypto
