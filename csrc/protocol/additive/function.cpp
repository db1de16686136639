// SPDX-License-Identifier: MIT
// Functions of one opened value: piecewise polynomials, trigonometric series and powers of two.
//
// Series on opened values as in Zheng et al., "Secure Softmax/Sigmoid for Machine-learning
// Computation" (ACSAC 2023): one round, since sin(n (c - r)) splits into functions of c and of r.
#include <ATen/ops/empty.h>
#include <ATen/ops/sub.h>

#include <algorithm>

#include "core/buffer.h"
#include "correlation/cpu/characters_kernels.h"
#include "correlation/cpu/segments_kernels.h"
#include "protocol/additive/engine.h"
#include "protocol/public_forms.h"
#include "ring/words.h"

namespace cryptensor::protocol::additive {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

// Thresholds less a public base, which is either none or the first: whichever shares more nodes.
int64_t cheaper_base(const std::vector<int64_t>& thresholds) {
  const auto nodes = [&](int64_t base) {
    return correlation::SegmentsLayout(1, less_base(thresholds, base), 0).nodes.size();
  };
  return nodes(thresholds[0]) < nodes(0) ? thresholds[0] : 0;
}

correlation::SegmentsForm segments_form(const Piecewise& form, const Piecewise::Output& output,
                                        int64_t base, const at::Tensor& out) {
  const int terms = form.degree + 1;
  correlation::SegmentsForm made;
  made.base = shifted_polynomial(output.coefficients.data(), form.degree, base);
  std::vector<uint64_t> below = made.base;
  for (size_t j = 1; j <= form.thresholds.size(); ++j) {
    const auto piece =
        shifted_polynomial(output.coefficients.data() + j * terms, form.degree, base);
    for (int i = 0; i < terms; ++i) made.steps.push_back(piece[i] - below[i]);
    below = piece;
  }
  made.out = words(out);
  return made;
}

}  // namespace

std::vector<uint64_t> less_base(const std::vector<int64_t>& thresholds, int64_t base) {
  std::vector<uint64_t> out;
  for (const int64_t t : thresholds) {
    out.push_back(static_cast<uint64_t>(t) - static_cast<uint64_t>(base));
  }
  return out;
}

std::vector<uint64_t> relative_thresholds(const std::vector<int64_t>& thresholds) {
  return less_base(thresholds, cheaper_base(thresholds));
}

std::vector<Secret> AdditiveEngine::shared_piecewise(const Secret& a, const Piecewise& form) {
  const int64_t base = cheaper_base(form.thresholds);
  at::Tensor x = a.share().contiguous();
  if (base != 0 && adds_constants()) x = at::sub(x, base);
  const correlation::SegmentsLayout layout(x.numel(), less_base(form.thresholds, base),
                                           form.degree);
  const size_t k = layout.count();
  Round masked(links_, net::Operation::compare, net::DType::int64, layout.n);
  Round level1(links_, net::Operation::compare, net::DType::bits, layout.words * layout.opened1);
  Round level2(links_, net::Operation::compare, net::DType::bits, layout.words * layout.opened2);
  Round bits(links_, net::Operation::compare, net::DType::bits, layout.words * k);

  const auto dealt = provider_->take(
      correlation::Descriptor::make_segments(layout.n, layout.thresholds, layout.degree));
  const correlation::SegmentsShare share{&layout, &dealt.prg, dealt.corrections.get(), dealt.part,
                                         adds_constants()};
  Buffer opened(8 * layout.padded), hidden(8 * layout.words * std::max(layout.nodes.size(), k)),
      borrows(8 * layout.words * 3 * k), top(8 * layout.words * k);
  const correlation::SegmentsState state{opened.as<uint64_t>(), hidden.as<uint64_t>(),
                                         borrows.as<uint64_t>(), top.as<uint64_t>()};
  const auto& kernels = correlation::segments_kernels();
  kernels.mask(share, words(x), masked.out());
  masked.send();
  kernels.pick(share, state, masked.own(), masked.sum_of_others(), level1.out());
  level1.send();
  kernels.combine(share, state, level1.own(), level1.xor_of_others(), level2.out());
  level2.send();
  kernels.finish(share, state, level2.own(), level2.xor_of_others(), bits.out());
  bits.send();

  std::vector<Secret> out;
  std::vector<correlation::SegmentsForm> forms;
  for (const auto& output : form.outputs) {
    const at::Tensor y = at::empty(x.sizes(), at::kLong);
    forms.push_back(segments_form(form, output, base, y));
    out.emplace_back(y, output.fraction_bits, kShared);
  }
  kernels.evaluate(share, state, bits.own(), bits.xor_of_others(), words(x), forms);
  return out;
}

// x under the mask of the correlation, in the clear.
Buffer AdditiveEngine::open_under(const correlation::Correlation& dealt, Round& round,
                                  const at::Tensor& x,
                                  const correlation::CharactersLayout& layout) {
  dealt.prg.fill(static_cast<uint64_t>(correlation::CharacterStream::mask), 0, round.out(),
                 8 * layout.n);
  ring::add_to(round.out(), words(x), layout.n);
  round.send();
  const uint64_t* others = round.sum_of_others();
  Buffer opened(layout.field_bytes());
  ring::sum_of(opened.as<uint64_t>(), round.own(), others, layout.n);
  std::fill(opened.as<uint64_t>() + layout.n, opened.as<uint64_t>() + layout.padded, 0);
  return opened;
}

std::vector<Secret> AdditiveEngine::shared_series(const Secret& a, const Series& form) {
  const at::Tensor x = a.share().contiguous();
  const correlation::CharactersLayout layout(x.numel());
  Round round(links_, net::Operation::open_mask, net::DType::int64, layout.n);
  const auto dealt = provider_->take(correlation::Descriptor::make_harmonics(layout.n, form.shape));
  const Buffer opened = open_under(dealt, round, x, layout);

  std::vector<Secret> out;
  std::vector<correlation::HarmonicForm> forms;
  for (const auto& output : form.outputs) {
    const at::Tensor y = at::empty(x.sizes(), at::kLong);
    forms.push_back({output.constant, output.cosines, output.sines, words(y)});
    out.emplace_back(y, output.fraction_bits, kShared);
  }
  const correlation::CharactersShare share{&layout, &dealt.prg, dealt.corrections.get(), dealt.part,
                                           adds_constants()};
  correlation::characters_kernels().harmonics(share, form.shape, opened.as<uint64_t>(), forms);
  return out;
}

std::pair<Secret, Secret> AdditiveEngine::shared_power_of_two(const Secret& a,
                                                              const PowerOfTwo& form) {
  const at::Tensor x = a.share().contiguous();
  const correlation::CharactersLayout layout(x.numel());
  Round round(links_, net::Operation::open_mask, net::DType::int64, layout.n);
  const auto dealt = provider_->take(correlation::Descriptor::make_octaves(layout.n, form.shape));
  const Buffer opened = open_under(dealt, round, x, layout);

  const at::Tensor low = at::empty(x.sizes(), at::kLong), high = at::empty(x.sizes(), at::kLong);
  const correlation::CharactersShare share{&layout, &dealt.prg, dealt.corrections.get(), dealt.part,
                                           adds_constants()};
  correlation::characters_kernels().octaves(
      share, form.shape, opened.as<uint64_t>(),
      {form.lowest, form.split, form.low_bits, form.high_bits, words(low), words(high)});
  return {Secret(low, form.low_bits, kShared), Secret(high, form.high_bits, kShared)};
}

}  // namespace cryptensor::protocol::additive
