// SPDX-License-Identifier: MIT
#include "correlation/dealer.h"

#include <ATen/ops/as_strided.h>
#include <ATen/ops/empty.h>

#include "core/buffer.h"
#include "correlation/cpu/comparison_kernels.h"
#include "crypto/mutant.h"
#include "ring/words.h"

namespace cryptensor::correlation {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

// value -= what the parties before the last expand from `stream`.
template <class T>
void subtract_others(const std::vector<crypto::Prg>& prgs, uint64_t stream, T* value, size_t n) {
  if (crypto::mutant::planted(crypto::mutant::kUnmaskedCorrection)) return;
  Buffer scratch(n * sizeof(T));
  for (size_t p = 0; p + 1 < prgs.size(); ++p) {
    prgs[p].fill(stream, 0, scratch.data(), n * sizeof(T));
    const T* share = scratch.as<T>();
    for (size_t i = 0; i < n; ++i) value[i] = static_cast<T>(value[i] - share[i]);
  }
}

// The top bits of r, less the others' shares, in W.
template <class W>
void deal_top_bits(const std::vector<crypto::Prg>& prgs, const uint64_t* r, size_t n,
                   uint8_t* out) {
  W* wrap = reinterpret_cast<W*>(out);
  for (size_t i = 0; i < n; ++i) wrap[i] = static_cast<W>(r[i] >> 63);
  subtract_others(prgs, kWrapStream, wrap, n);
}

template <class W>
void deal_bit_products(const std::vector<crypto::Prg>& prgs, size_t n, uint8_t* out) {
  const size_t words = ring::words_for_bits(n);
  Buffer s0(8 * words), s1(8 * words);
  prgs[0].fill(kMaskStream, 0, s0.data(), 8 * words);
  prgs[1].fill(kMaskStream, 0, s1.data(), 8 * words);
  W* product = reinterpret_cast<W*>(out);
  for (size_t i = 0; i < n; ++i) {
    product[i] =
        static_cast<W>(ring::bit_at(s0.as<uint64_t>(), i) & ring::bit_at(s1.as<uint64_t>(), i));
  }
  subtract_others(prgs, kWrapStream, product, n);
}

}  // namespace

crypto::Prg correlation_prg(const crypto::Prg& party, uint64_t serial, uint64_t digest) {
  return crypto::Prg(party.subkey(serial, digest));
}

Dealer::Dealer(const std::vector<crypto::Key>& party_keys) : own_(crypto::random_key()) {
  for (const auto& key : party_keys) party_prgs_.emplace_back(key);
}

std::vector<crypto::Prg> Dealer::prgs(uint64_t serial, uint64_t digest) const {
  std::vector<crypto::Prg> out;
  out.reserve(party_prgs_.size());
  for (const auto& party : party_prgs_) out.push_back(correlation_prg(party, serial, digest));
  return out;
}

at::Tensor Dealer::expand(const MaskView& view) const {
  const MaskName& mask = view.mask;
  at::Tensor sum;
  for (int p = 0; p < parties(); ++p) {
    if ((mask.holders >> p & 1) == 0) continue;
    at::Tensor share = at::empty({static_cast<int64_t>(mask.numel)}, at::kLong);
    correlation_prg(party_prgs_[p], mask.serial, mask.digest)
        .fill(kMaskStream, 0, share.data_ptr(), 8 * mask.numel);
    if (sum.defined()) {
      ring::add_to(words(sum), words(share), mask.numel);
    } else {
      sum = share;
    }
  }
  return at::as_strided(sum, view.sizes, view.strides, view.offset);
}

void Dealer::deal_bilinear(const std::vector<crypto::Prg>& prgs, const Descriptor& d,
                           uint8_t* out) const {
  const at::Tensor left = expand(d.left);
  const at::Tensor right = d.right == d.left ? left : expand(d.right);
  const at::Tensor product = d.map(left, right).contiguous();
  std::copy_n(words(product), product.numel(), reinterpret_cast<uint64_t*>(out));
  subtract_others(prgs, kProductStream, reinterpret_cast<uint64_t*>(out), product.numel());
}

void Dealer::deal_truncation(const std::vector<crypto::Prg>& prgs, const Descriptor& d,
                             uint8_t* out) const {
  const at::Tensor mask = expand(d.left).contiguous();
  const size_t n = mask.numel();
  const uint64_t* r = words(mask);
  uint64_t* shifted = reinterpret_cast<uint64_t*>(out);
  for (size_t i = 0; i < n; ++i) shifted[i] = r[i] >> d.shift;
  subtract_others(prgs, kShiftedStream, shifted, n);
  const auto deal_wraps = d.shift <= 16   ? deal_top_bits<uint16_t>
                          : d.shift <= 32 ? deal_top_bits<uint32_t>
                                          : deal_top_bits<uint64_t>;
  deal_wraps(prgs, r, n, out + 8 * n);
}

void Dealer::deal_wrap(const std::vector<crypto::Prg>& prgs, const Descriptor& d,
                       uint8_t* out) const {
  const auto deal_products = d.shift <= 16   ? deal_bit_products<uint16_t>
                             : d.shift <= 32 ? deal_bit_products<uint32_t>
                                             : deal_bit_products<uint64_t>;
  deal_products(prgs, d.numel, out);
}

void Dealer::deal_part(uint64_t serial, const Descriptor& d, int corrected, Part part,
                       uint8_t* corrections) const {
  auto streams = prgs(serial, d.digest());
  std::swap(streams[corrected], streams.back());  // the corrected party is the last
  switch (d.kind) {
    case Kind::mask:
      return;
    case Kind::bilinear:
      return deal_bilinear(streams, d, corrections);
    case Kind::truncation:
      return deal_truncation(streams, d, corrections);
    case Kind::wrap:
      return deal_wrap(streams, d, corrections);
    default:
      return deal_function(streams, serial, d, part, corrections);
  }
}

}  // namespace cryptensor::correlation
