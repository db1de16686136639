// SPDX-License-Identifier: MIT
// Shares of a one-hot vector from a short key: a distributed point function for two parties, by the
// half-tree of Guo, Yang, Wang, Zhang, Xie, Liu and Zhao (EUROCRYPT 2023), with pairs of 64-bit
// values at its leaves.
//
// Both parties grow a binary tree from their seeds. On the path to the point the nodes of the two
// differ by a secret constant, elsewhere they are equal; the last bit of a node says which. A
// correction word for each level, the same for both parties, keeps that so.
#pragma once

#include <cstddef>
#include <cstdint>

#include "crypto/fixed_key.h"

namespace cryptensor::correlation {

class PointFunction {
 public:
  // Vectors of 2^bits entries, 1 <= bits <= 30.
  explicit PointFunction(int bits) : bits_(bits), inner_(1), leaves_(2) {}

  // 64-bit words of the part of a key that both parties get.
  static constexpr size_t public_words(int bits) { return 2 * (bits - 1) + 2; }

  // `point` < 2^bits. Writes the second party's seed and the public words.
  void make_key(uint64_t point, const crypto::Block& first_seed, crypto::Block difference,
                crypto::Block* second_seed, uint64_t* words) const;

  // One party's share of the vector: 2^bits elements. `party`: 0 or 1.
  void evaluate(int party, const crypto::Block& seed, const uint64_t* words, uint64_t* out) const;

 private:
  void grow(crypto::Block* nodes, crypto::Block* scratch, int levels, const uint64_t* words) const;

  int bits_;
  crypto::FixedKeyHash inner_, leaves_;
};

}  // namespace cryptensor::correlation
