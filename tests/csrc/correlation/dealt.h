// SPDX-License-Identifier: MIT
// The parties' view of what a dealer dealt: shares put together again.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "correlation/dealer.h"
#include "examples.h"

namespace cryptensor::correlation::examples {

// Keys of a session, and what follows from them.
struct Session {
  explicit Session(int parties) {
    for (int p = 0; p < parties; ++p) keys.push_back(crypto::random_key());
    for (const auto& key : keys) prgs.emplace_back(key);
  }

  int parties() const { return static_cast<int>(keys.size()); }

  // n shares of T under `stream`: the last party's are `corrected`, the others expand theirs.
  template <class T>
  std::vector<T> total(uint64_t serial, const Descriptor& d, uint64_t stream,
                       const uint8_t* corrected, size_t n, bool of_bits = false) const {
    const T* last = reinterpret_cast<const T*>(corrected);
    std::vector<T> sum(last, last + n), share(n);
    for (int p = 0; p + 1 < parties(); ++p) {
      correlation_prg(prgs[p], serial, d.digest()).fill(stream, 0, share.data(), n * sizeof(T));
      for (size_t i = 0; i < n; ++i) {
        sum[i] = static_cast<T>(of_bits ? sum[i] ^ share[i] : sum[i] + share[i]);
      }
    }
    return sum;
  }

  // A stream that nobody corrects: the mask of a comparison, the bits of a wrap.
  std::vector<uint64_t> expanded(int party, uint64_t serial, const Descriptor& d, uint64_t stream,
                                 size_t n) const {
    std::vector<uint64_t> out(n);
    correlation_prg(prgs[party], serial, d.digest()).fill(stream, 0, out.data(), 8 * n);
    return out;
  }

  at::Tensor mask(const MaskName& name) const {
    at::Tensor sum = at::zeros({static_cast<int64_t>(name.numel)}, at::kLong);
    for (int p = 0; p < parties(); ++p) {
      if ((name.holders >> p & 1) == 0) continue;
      at::Tensor share = at::empty_like(sum);
      correlation_prg(prgs[p], name.serial, name.digest)
          .fill(kMaskStream, 0, share.data_ptr(), 8 * name.numel);
      sum = sum + share;
    }
    return sum;
  }
  at::Tensor mask(const MaskView& view) const {
    return at::as_strided(mask(view.mask), view.sizes, view.strides, view.offset);
  }

  std::vector<crypto::Key> keys;
  std::vector<crypto::Prg> prgs;
};

inline std::vector<uint64_t> words(const at::Tensor& t) {
  const at::Tensor in = t.contiguous();
  const auto* from = reinterpret_cast<const uint64_t*>(in.const_data_ptr<int64_t>());
  return {from, from + in.numel()};
}

}  // namespace cryptensor::correlation::examples
