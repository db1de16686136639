// SPDX-License-Identifier: MIT
#include "protocol/public_forms.h"

#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "core/buffer.h"
#include "correlation/cpu/characters_kernels.h"
#include "crypto/prg.h"

namespace cryptensor::protocol {
namespace {

uint64_t* words(const at::Tensor& t) { return reinterpret_cast<uint64_t*>(t.data_ptr<int64_t>()); }

// The functions of a mask that is zero: constant fields.
class ZeroMask {
 public:
  ZeroMask(const at::Tensor& x, int fields)
      : x_(x.contiguous()),
        layout_(x.numel()),
        opened_(layout_.field_bytes()),
        values_(layout_.field_bytes() * fields),
        prg_(crypto::Key{}) {
    std::fill_n(opened_.as<uint64_t>(), layout_.padded, 0);
    std::copy_n(words(x_), layout_.n, opened_.as<uint64_t>());
  }
  void set(int field, uint64_t value) {
    std::fill_n(values_.as<uint64_t>() + layout_.padded * field, layout_.padded, value);
  }
  const uint64_t* opened() const { return opened_.as<uint64_t>(); }
  correlation::CharactersShare share() const { return {&layout_, &prg_, values_.data(), {}, true}; }

 private:
  at::Tensor x_;
  correlation::CharactersLayout layout_;
  Buffer opened_, values_;
  crypto::Prg prg_;  // never drawn from: all fields are given
};

at::Tensor polynomial(const at::Tensor& x, const int64_t* coefficients, int degree) {
  at::Tensor sum = at::full_like(x, coefficients[degree]);
  for (int i = degree - 1; i >= 0; --i) sum.mul_(x).add_(coefficients[i]);
  return sum;
}

}  // namespace

std::vector<uint64_t> shifted_polynomial(const int64_t* coefficients, int degree, int64_t shift) {
  std::vector<uint64_t> out(coefficients, coefficients + degree + 1);
  // Horner, one coefficient after the other.
  for (int from = 0; from < degree; ++from) {
    for (int i = degree - 1; i >= from; --i) out[i] += out[i + 1] * static_cast<uint64_t>(shift);
  }
  return out;
}

std::vector<at::Tensor> evaluate(const Piecewise& form, const at::Tensor& x) {
  const int terms = form.degree + 1;
  std::vector<at::Tensor> out;
  for (const auto& output : form.outputs) {
    const int64_t* piece = output.coefficients.data();
    at::Tensor y = polynomial(x, piece, form.degree);
    for (const int64_t t : form.thresholds) {
      piece += terms;
      y = at::where(at::ge(x, t), polynomial(x, piece, form.degree), y);
    }
    out.push_back(std::move(y));
  }
  return out;
}

std::vector<at::Tensor> evaluate(const Series& form, const at::Tensor& x) {
  ZeroMask mask(x, form.shape.fields());
  for (int h = 0; h < form.shape.count; ++h) {
    mask.set(2 * h, uint64_t{1} << correlation::kWaveBits);
    mask.set(2 * h + 1, 0);
  }
  std::vector<at::Tensor> out;
  std::vector<correlation::HarmonicForm> forms;
  for (const auto& output : form.outputs) {
    out.push_back(at::empty(x.sizes(), at::kLong));
    forms.push_back({output.constant, output.cosines, output.sines, words(out.back())});
  }
  correlation::characters_kernels().harmonics(mask.share(), form.shape, mask.opened(), forms);
  return out;
}

std::pair<at::Tensor, at::Tensor> evaluate(const PowerOfTwo& form, const at::Tensor& x) {
  ZeroMask mask(x, form.shape.fields());
  for (int m = 0; m < form.shape.fields(); ++m) {
    mask.set(m, m == 0 ? uint64_t{1} << form.shape.scale : 0);
  }
  at::Tensor low = at::empty(x.sizes(), at::kLong), high = at::empty(x.sizes(), at::kLong);
  correlation::characters_kernels().octaves(
      mask.share(), form.shape, mask.opened(),
      {form.lowest, form.split, form.low_bits, form.high_bits, words(low), words(high)});
  return {low, high};
}

}  // namespace cryptensor::protocol
