// SPDX-License-Identifier: MIT
// Comparison by truth tables at the opened value and a tree of fan-in four: four rounds, of which
// the last opens the result under the dealer's bit (see correlation/comparison_layout.h).
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sub.h>

#include "core/buffer.h"
#include "correlation/cpu/comparison_kernels.h"
#include "protocol/additive/engine.h"

namespace cryptensor::protocol::additive {

using correlation::Comparison;

// With |a| < 2^bits_known in units of the last place: the two words that hold its top, if any do.
correlation::Significant significant_bits(std::optional<int> bits_known) {
  if (!bits_known || *bits_known > 47) return {};
  return {*bits_known <= 31 ? 0 : 1, 2};
}

Secret AdditiveEngine::compare(const Secret& a, Comparison mode, int shift,
                               std::optional<Secret>* sign, std::optional<int> bits_known) {
  const at::Tensor x = a.share().contiguous();
  const correlation::ComparisonLayout layout(x.numel(), mode, shift, significant_bits(bits_known));
  // All receives first: a Gloo send waits until the peer has announced its receive.
  Round masked(links_, net::Operation::compare, net::DType::int64, layout.n);
  Round level1(links_, net::Operation::compare, net::DType::bits, layout.words * layout.opened1);
  std::optional<Round> level2;
  if (layout.opened2 > 0) {
    level2.emplace(links_, net::Operation::compare, net::DType::bits,
                   layout.words * layout.opened2);
  }
  Round bit(links_, net::Operation::compare, net::DType::bits, layout.words);

  const auto dealt = provider_->take(
      correlation::Descriptor::make_comparison(layout.n, mode, shift, layout.significant));
  const correlation::ComparisonShare share{&layout, &dealt.prg, dealt.corrections.get(), dealt.part,
                                           adds_constants()};
  Buffer opened(8 * layout.padded), hidden(8 * layout.words * (layout.chunks / 4)),
      top(8 * layout.words);
  const correlation::ComparisonState state{opened.as<uint64_t>(), hidden.as<uint64_t>(),
                                           top.as<uint64_t>()};
  const auto& kernels = correlation::comparison_kernels();

  kernels.mask(share, reinterpret_cast<const uint64_t*>(x.const_data_ptr<int64_t>()), masked.out());
  masked.send();
  const uint64_t* others = masked.sum_of_others();
  kernels.pick(share, state, masked.own(), others, level1.out());
  level1.send();
  others = level1.xor_of_others();
  kernels.combine(share, state, level1.own(), others, level2 ? level2->out() : bit.out());
  if (level2) {
    level2->send();
    others = level2->xor_of_others();
    kernels.finish(share, state, level2->own(), others, bit.out());
  }
  bit.send();
  others = bit.xor_of_others();

  at::Tensor out = at::empty(x.sizes(), at::kLong);
  at::Tensor bits = sign != nullptr ? at::empty(x.sizes(), at::kLong) : at::Tensor();
  kernels.select(share, state, bit.own(), others,
                 reinterpret_cast<uint64_t*>(out.data_ptr<int64_t>()),
                 sign != nullptr ? reinterpret_cast<uint64_t*>(bits.data_ptr<int64_t>()) : nullptr);
  if (sign != nullptr) *sign = Secret(bits, 0, kShared);
  const int left = mode == Comparison::sign ? 0 : a.fraction_bits() - shift;
  return Secret(out, left, kShared);
}

// The low word may be left out only where all of it is truncated away.
Secret AdditiveEngine::shared_relu(const Secret& a, int shift, std::optional<Secret>* sign,
                                   std::optional<int> bits_known) {
  if (bits_known && *bits_known > 31 && shift < 16) bits_known.reset();
  return compare(a, shift > 0 ? Comparison::relu_truncate : Comparison::relu, shift, sign,
                 bits_known);
}

Secret AdditiveEngine::shared_at_least_zero(const Secret& a) {
  return compare(a, Comparison::sign, 0, nullptr, std::nullopt);
}

}  // namespace cryptensor::protocol::additive
