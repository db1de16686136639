// SPDX-License-Identifier: MIT
// Division by 2^f of a shared value with |x| < 2^62. Rounding depends on the shares.
#include <ATen/ops/add.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/neg.h>

#include "core/buffer.h"
#include "core/errors.h"
#include "correlation/cpu/comparison_kernels.h"
#include "correlation/dealer.h"
#include "crypto/mutant.h"
#include "protocol/additive/masking.h"
#include "ring/words.h"

namespace cryptensor::protocol::additive {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

// A field of narrow words: corrected at the corrected party, else expanded.
template <class W>
const W* narrow_field(const correlation::Correlation& dealt, uint64_t stream, size_t offset,
                      size_t n, Buffer& scratch) {
  if (dealt.corrections) return reinterpret_cast<const W*>(dealt.corrections.get() + offset);
  scratch = Buffer(n * sizeof(W));
  dealt.prg.fill(stream, 0, scratch.data(), n * sizeof(W));
  return scratch.as<W>();
}

// 2^62 makes x non-negative. X = x + 2^62 + r wraps exactly when r has its top bit and X has not.
template <class W>
void finish_opened(const correlation::Correlation& dealt, const uint64_t* opened, size_t n, int f,
                   bool adds_constants, uint64_t* out) {
  constexpr uint64_t kOffset = uint64_t{1} << 62;
  Buffer shifted_scratch, wrap_scratch;
  const uint64_t* shifted =
      narrow_field<uint64_t>(dealt, correlation::kShiftedStream, 0, n, shifted_scratch);
  const W* wrap = narrow_field<W>(dealt, correlation::kWrapStream, 8 * n, n, wrap_scratch);
  const uint64_t keep = adds_constants ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < n; ++i) {
    const uint64_t raised = opened[i] + kOffset;
    const uint64_t no_top = (raised >> 63) - 1;
    out[i] = (keep & ((raised >> f) - (kOffset >> f))) - shifted[i] +
             (no_top & (static_cast<uint64_t>(wrap[i]) << (64 - f)));
  }
}

// 3 * 2^62 makes the top bit of x one, so that the two shares wrap exactly when both have theirs.
// The two floors lose a unit but where the low bits carry, hence the one that is added: the mean
// error is 0, and what is divisible by 2^f stays exact but once in 2^f.
constexpr uint64_t kWrapOffset = uint64_t{3} << 62;

template <class W>
void finish_one_bit(const correlation::Correlation& dealt, int rank, const uint64_t* share,
                    const uint64_t* own_bits, const uint64_t* others_bits,
                    const uint64_t* secret_bits, size_t n, int f, uint64_t* out) {
  Buffer scratch;
  const W* product = narrow_field<W>(dealt, correlation::kWrapStream, 0, n, scratch);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t theirs = ring::bit_at(others_bits, i), p = product[i];
    uint64_t raised = share[i], wrap;
    if (rank == 0) {
      raised += kWrapOffset;
      const uint64_t mine = ring::bit_at(own_bits, i);
      wrap = (raised >> 63) * theirs + (1 - 2 * theirs) * (1 - 2 * mine) * p;
    } else {
      const uint64_t mine = ring::bit_at(own_bits, i);
      wrap = (1 - 2 * mine) * (theirs * ring::bit_at(secret_bits, i) + (1 - 2 * theirs) * p);
    }
    out[i] = (raised >> f) - (wrap << (64 - f)) - (rank == 0 ? (kWrapOffset >> f) - 1 : 0);
  }
}

}  // namespace

// Mohassel and Zhang, SecureML (S&P 2017).
Secret AdditiveEngine::truncate_local(const Secret& a, int f) const {
  const at::Tensor x = a.share();
  const at::Tensor out = rank() == 0 ? at::bitwise_right_shift(x, int64_t{f})
                                     : at::neg(at::bitwise_right_shift(at::neg(x), int64_t{f}));
  return Secret(out, a.fraction_bits() - f, kShared);
}

// The rounding is right on average if the low bits of the shares are random, which those of a
// product with public numbers need not be: x * 0 has none. What is added here is taken off there.
at::Tensor AdditiveEngine::with_random_low_bits(const at::Tensor& share, int f) {
  if (f > 16) return at::add(share, zero_share(share.sizes())).contiguous();
  const at::Tensor x = share.contiguous();
  const size_t n = x.numel();
  Buffer draw(2 * n);
  pair_prgs_[1 - rank()]->fill(zero_shares_++, 0, draw.data(), draw.size());
  at::Tensor out = at::empty_like(x);
  const auto* noise = draw.as<uint16_t>();
  const uint64_t sign = rank() == 0 ? 1 : -1, *from = words(x);
  uint64_t* to = words(out);
  for (size_t i = 0; i < n; ++i) to[i] = from[i] + sign * noise[i];
  return out;
}

// The wrap of the two shares is the product of their top bits b_i, which are exchanged under the
// dealer's bits s_i: with e_i = b_i ^ s_i, b_0 b_1 = b_0 e_1 + (1 - 2 e_1)(s_1 b_0) and so on down
// to the dealt shares of s_0 s_1.
std::vector<Secret> AdditiveEngine::truncate_one_bit(const std::vector<Cut>& cuts) {
  struct Item {
    at::Tensor x;
    size_t n, from;
    correlation::Correlation dealt;
    Buffer secret_bits;
  };
  size_t all_words = 0;
  for (const Cut& cut : cuts) all_words += ring::words_for_bits(cut.value.numel());
  Round round(links_, net::Operation::truncate, net::DType::bits, all_words);
  std::vector<Item> items;
  size_t from = 0;
  for (const auto& [a, f] : cuts) {
    const size_t n = a.numel(), bit_words = ring::words_for_bits(n);
    at::Tensor x = with_random_low_bits(a.share(), f);
    auto dealt = provider_->take(correlation::Descriptor::make_wrap(n, f));
    Buffer secret_bits(8 * bit_words);
    dealt.prg.fill(correlation::kMaskStream, 0, secret_bits.data(), 8 * bit_words);
    uint64_t* out = round.out() + from;
    const at::Tensor raised = rank() == 0 ? at::add(x, static_cast<int64_t>(kWrapOffset)) : x;
    ring::pack_top_bits(out, words(raised), n);
    if (!crypto::mutant::planted(crypto::mutant::kUnmaskedBit)) {
      ring::xor_to(out, secret_bits.as<uint64_t>(), bit_words);
    }
    items.push_back({x, n, from, std::move(dealt), std::move(secret_bits)});
    from += bit_words;
  }
  round.send();
  const uint64_t* theirs = round.xor_of_others();
  std::vector<Secret> out;
  for (size_t i = 0; i < cuts.size(); ++i) {
    const auto& [a, f] = cuts[i];
    const Item& item = items[i];
    const at::Tensor y = at::empty_like(item.x);
    const auto finish = f <= 16   ? finish_one_bit<uint16_t>
                        : f <= 32 ? finish_one_bit<uint32_t>
                                  : finish_one_bit<uint64_t>;
    finish(item.dealt, rank(), words(item.x), round.own() + item.from, theirs + item.from,
           item.secret_bits.as<uint64_t>(), item.n, f, words(y));
    out.emplace_back(y, a.fraction_bits() - f, kShared);
  }
  return out;
}

// Catrina and Saxena (FC 2010), with the wrap corrected as in Escudero et al. (CRYPTO 2020), from
// dealt shares of r >> f and of the top bit of r.
std::vector<Secret> AdditiveEngine::truncate_opened(const std::vector<Cut>& cuts) {
  Exchange exchange(links_, net::Operation::truncate);
  const PartySet all = everyone(parties());
  std::vector<Masking> maskings;
  bool cached = true;
  for (const Cut& cut : cuts) {
    maskings.push_back(prepare(exchange, cut.value, all, all));
    cached = cached && maskings.back().cached;
  }
  if (!cached) exchange.run();
  std::vector<Secret> out;
  for (size_t i = 0; i < cuts.size(); ++i) {
    const auto& [a, f] = cuts[i];
    complete(exchange, maskings[i]);
    const auto dealt =
        provider_->take(correlation::Descriptor::make_truncation(maskings[i].view(), f));
    const at::Tensor masked = maskings[i].masked().contiguous();
    const at::Tensor y = at::empty_like(masked);
    const auto finish = f <= 16   ? finish_opened<uint16_t>
                        : f <= 32 ? finish_opened<uint32_t>
                                  : finish_opened<uint64_t>;
    finish(dealt, words(masked), masked.numel(), f, adds_constants(), words(y));
    out.emplace_back(y, a.fraction_bits() - f, kShared);
  }
  return out;
}

// The floor needs the borrow of the low bits, a comparison of 16 bits; more are taken in two steps.
Secret AdditiveEngine::truncate_exact(const Secret& a, int f) {
  const Secret first =
      compare(a, correlation::Comparison::low_bits, std::min(f, 16), nullptr, std::nullopt);
  return f > 16 ? truncate_exact(first, f - 16) : first;
}

std::vector<Secret> AdditiveEngine::shared_truncate(const std::vector<Cut>& cuts, Truncation kind) {
  if (kind == Truncation::one_bit) return truncate_one_bit(cuts);
  if (kind == Truncation::interactive) return truncate_opened(cuts);
  std::vector<Secret> out;
  for (const auto& [a, bits] : cuts) {
    out.push_back(kind == Truncation::local ? truncate_local(a, bits) : truncate_exact(a, bits));
  }
  return out;
}

}  // namespace cryptensor::protocol::additive
