// SPDX-License-Identifier: MIT
// Bit-sliced evaluation of one tree node, 512 elements at a time. Included once per instruction
// set inside an anonymous namespace, so that no code of a wider set can be linked into a narrower.

typedef uint64_t Plane __attribute__((vector_size(64)));

#define CT_INLINE inline __attribute__((always_inline))

CT_INLINE Plane load(const uint64_t* from, int words) {
  Plane plane{};
  if (words == 8) {
    __builtin_memcpy(&plane, from, 64);
  } else {
    for (int i = 0; i < words; ++i) plane[i] = from[i];
  }
  return plane;
}

CT_INLINE void store(uint64_t* to, const Plane& plane, int words) {
  if (words == 8) {
    __builtin_memcpy(to, &plane, 64);
  } else {
    for (int i = 0; i < words; ++i) to[i] = plane[i];
  }
}

template <int F, bool kWithEqual>
struct Node : NodeShape<F, kWithEqual> {
  using Shape = NodeShape<F, kWithEqual>;
  // Positions of e_i and l_j among the opened bits.
  static constexpr int equal_at(int i) { return i ? i - 1 : 2 * (F - 1); }
  static constexpr int less_at(int j) { return F - 1 + j; }

  // Dealer: the monomials of the true mask bits, in the order in which evaluate() reads them.
  static CT_INLINE void products(const Plane* mask, Plane* out) {
    Plane subset[1 << F];
    int k = 0;
#pragma GCC unroll 16
    for (int s = Shape::kSubsetStep; s < (1 << F); s += Shape::kSubsetStep) {
      const int low = __builtin_ctz(s), rest = s & (s - 1);
      subset[s] = rest ? subset[rest] & mask[equal_at(low)] : mask[equal_at(low)];
      if (rest) out[k++] = subset[s];
    }
#pragma GCC unroll 4
    for (int j = F - 2; j >= 0; --j) {
#pragma GCC unroll 16
      for (int s = 2 << j; s < (1 << F); s += 2 << j) out[k++] = mask[less_at(j)] & subset[s];
    }
  }

  // Party: opened masked bits, mask shares and product shares to shares of L (and E). A product of
  // (opened ^ mask) bits is expanded one opened bit at a time, as in a Moebius transform.
  static CT_INLINE void evaluate(const Plane* opened, const Plane* mask, const Plane* product,
                                 const Plane& hidden, const Plane& one, Plane& less, Plane& equal) {
    Plane subset[1 << F], fold[1 << F], pairs[F][1 << F];
    int k = 0;
    subset[0] = one;
#pragma GCC unroll 16
    for (int s = Shape::kSubsetStep; s < (1 << F); s += Shape::kSubsetStep) {
      subset[s] = (s & (s - 1)) ? product[k++] : mask[equal_at(__builtin_ctz(s))];
    }
#pragma GCC unroll 4
    for (int j = F - 2; j >= 0; --j) {
      pairs[j][0] = mask[less_at(j)];
#pragma GCC unroll 16
      for (int s = 2 << j; s < (1 << F); s += 2 << j) pairs[j][s] = product[k++];
    }
    if constexpr (kWithEqual) {
#pragma GCC unroll 16
      for (int s = 0; s < (1 << F); ++s) fold[s] = subset[s];
#pragma GCC unroll 4
      for (int i = 0; i < F; ++i) {
#pragma GCC unroll 16
        for (int s = 0; s < (1 << F); s += 2 << i)
          fold[s] = fold[s | (1 << i)] ^ (opened[equal_at(i)] & fold[s]);
      }
      equal = fold[0];
    }
#pragma GCC unroll 16
    for (int s = 0; s < (1 << F); s += 2) fold[s] = pairs[0][s] ^ (opened[less_at(0)] & subset[s]);
#pragma GCC unroll 4
    for (int i = 1; i < F; ++i) {
#pragma GCC unroll 16
      for (int s = 0; s < (1 << F); s += 2 << i) {
        fold[s] = fold[s | (1 << i)] ^ (opened[equal_at(i)] & fold[s]);
        if (i <= F - 2) fold[s] ^= pairs[i][s] ^ (opened[less_at(i)] & subset[s]);
      }
    }
    less = fold[0] ^ hidden;
  }
};
