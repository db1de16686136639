// SPDX-License-Identifier: MIT
#include "correlation/dealer.h"

#include <ATen/ops/as_strided.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/buffer.h"
#include "correlation/cpu/comparison_kernels.h"
#include "crypto/mutant.h"
#include "ring/words.h"

namespace cryptensor::correlation {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

// Streams are expanded block by block, where they are used: a few blocks fit the innermost cache.
constexpr size_t kBlockBytes = size_t{1} << 12;
constexpr size_t kLineBytes = 64;  // what Prg::fill counts in

// use(values of `stream` from element i on, i, how many) for each block of n elements, the first of
// them at `line`.
template <class T, class Use>
void each_block(const crypto::Prg& prg, uint64_t stream, size_t line, size_t n, const Use& use) {
  constexpr size_t kElements = kBlockBytes / sizeof(T);
  alignas(64) T block[kElements];
  for (size_t i = 0; i < n; i += kElements) {
    const size_t count = std::min(kElements, n - i);
    prg.fill(stream, line + i * sizeof(T) / kLineBytes, block, count * sizeof(T));
    use(static_cast<const T*>(block), i, count);
  }
}

// value -= what the parties before the last expand from `stream`.
template <class T>
void subtract_others(const std::vector<crypto::Prg>& prgs, uint64_t stream, T* value, size_t n,
                     size_t line = 0) {
  if (crypto::mutant::planted(crypto::mutant::kUnmaskedCorrection)) return;
  for (size_t p = 0; p + 1 < prgs.size(); ++p) {
    each_block<T>(prgs[p], stream, line, n, [value](const T* share, size_t i, size_t count) {
      if constexpr (sizeof(T) == 8) return ring::subtract_from(value + i, share, count);
      for (size_t k = 0; k < count; ++k) value[i + k] = static_cast<T>(value[i + k] - share[k]);
    });
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

// The product of two masks, element by element: nothing but the corrections goes to memory. A mask
// is the sum of its holders' streams; without `right` it is the square.
void deal_flat_product(const std::vector<crypto::Prg>& prgs, const std::vector<crypto::Prg>& left,
                       const std::vector<crypto::Prg>& right, size_t n, uint64_t* out) {
  constexpr size_t kElements = kBlockBytes / 8;
  alignas(64) uint64_t one[kElements], other[kElements], share[kElements];
  const auto sum = [&share](const std::vector<crypto::Prg>& holders, size_t line, uint64_t* to,
                            size_t count) {
    holders[0].fill(kMaskStream, line, to, 8 * count);
    for (size_t h = 1; h < holders.size(); ++h) {
      holders[h].fill(kMaskStream, line, share, 8 * count);
      ring::add_to(to, share, count);
    }
  };
  for (size_t i = 0; i < n; i += kElements) {
    const size_t count = std::min(kElements, n - i), line = 8 * i / kLineBytes;
    sum(left, line, one, count);
    if (!right.empty()) sum(right, line, other, count);
    ring::product_of(out + i, one, right.empty() ? one : other, count);
    subtract_others(prgs, kProductStream, out + i, count, line);
  }
}

// n elements in their order.
bool is_flat(const MaskView& view, size_t n) {
  int64_t step = 1;
  for (size_t i = view.sizes.size(); i-- > 0; step *= view.sizes[i]) {
    if (view.sizes[i] != 1 && view.strides[i] != step) return false;
  }
  return view.offset == 0 && static_cast<size_t>(step) == n;
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
  at::Tensor sum = at::empty({static_cast<int64_t>(mask.numel)}, at::kLong);
  uint64_t* out = words(sum);
  bool first = true;
  for (int p = 0; p < parties(); ++p) {
    if ((mask.holders >> p & 1) == 0) continue;
    const crypto::Prg prg = correlation_prg(party_prgs_[p], mask.serial, mask.digest);
    if (first) {
      prg.fill(kMaskStream, 0, out, 8 * mask.numel);
    } else {
      each_block<uint64_t>(prg, kMaskStream, 0, mask.numel,
                           [out](const uint64_t* share, size_t i, size_t count) {
                             ring::add_to(out + i, share, count);
                           });
    }
    first = false;
  }
  return at::as_strided(sum, view.sizes, view.strides, view.offset);
}

void Dealer::deal_bilinear(const std::vector<crypto::Prg>& prgs, const Descriptor& d,
                           uint8_t* out) const {
  const size_t n = d.correction_bytes() / 8;
  if (d.map.kind == ring::Bilinear::multiply && is_flat(d.left, n) && is_flat(d.right, n)) {
    const auto holders = [this](const MaskName& mask) {
      std::vector<crypto::Prg> out;
      for (int p = 0; p < parties(); ++p) {
        if (mask.holders >> p & 1)
          out.push_back(correlation_prg(party_prgs_[p], mask.serial, mask.digest));
      }
      return out;
    };
    const bool square = d.right == d.left;
    return deal_flat_product(prgs, holders(d.left.mask),
                             square ? std::vector<crypto::Prg>() : holders(d.right.mask), n,
                             reinterpret_cast<uint64_t*>(out));
  }
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
