// SPDX-License-Identifier: MIT
// Plain loops, which the compiler turns into vectors of the instruction set that it is told of.

void add_to(uint64_t* sum, const uint64_t* term, size_t n) {
  for (size_t i = 0; i < n; ++i) sum[i] += term[i];
}

void subtract_from(uint64_t* difference, const uint64_t* term, size_t n) {
  for (size_t i = 0; i < n; ++i) difference[i] -= term[i];
}

void xor_to(uint64_t* sum, const uint64_t* term, size_t n) {
  for (size_t i = 0; i < n; ++i) sum[i] ^= term[i];
}

void sum_of(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void product_of(uint64_t* out, const uint64_t* a, const uint64_t* b, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

const WordKernels kKernels{add_to, subtract_from, xor_to, sum_of, product_of};
