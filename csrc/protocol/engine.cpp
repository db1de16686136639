// SPDX-License-Identifier: MIT
#include "protocol/engine.h"

#include <ATen/ops/add.h>
#include <ATen/ops/bitwise_left_shift.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "core/errors.h"
#include "fixedpoint/fixedpoint.h"

namespace cryptensor::protocol {

const char* name(Truncation kind) {
  switch (kind) {
    case Truncation::local:
      return "local";
    case Truncation::one_bit:
      return "one_bit";
    case Truncation::interactive:
      return "interactive";
    case Truncation::exact:
      return "exact";
  }
  return "unknown";
}

Secret Engine::encode_public(const at::Tensor& values) const {
  // Truth values and integers need no fraction bits, so a product with them stays settled.
  if (values.is_floating_point()) {
    return Secret(fixedpoint::encode(values, precision()), precision(), kPublic);
  }
  return Secret(encoded_input({.values = values, .integers = true}), 0, kPublic);
}

at::Tensor Engine::encoded_input(const Input& input) const {
  if (input.integers && input.values.is_floating_point()) {
    throw ConfigError(fmt::format("values: dtype {}; integers are declared",
                                  c10::toString(input.values.scalar_type())));
  }
  // The range of integers is that of any value: they may be added to one later.
  const at::Tensor encoded = fixedpoint::encode(input.values, precision());
  return input.integers ? at::bitwise_right_shift(encoded, int64_t{precision()}) : encoded;
}

Secret Engine::import_share(const at::Tensor& share, int fraction_bits, int owner) const {
  if (share.scalar_type() != at::kLong || !share.device().is_cpu()) {
    throw ConfigError("share: it must be an int64 tensor on the CPU");
  }
  if (fraction_bits < 0 || fraction_bits > fixedpoint::kMagnitudeBits) {
    throw ConfigError(fmt::format("fraction_bits is {}; allowed are 0 to {}", fraction_bits,
                                  fixedpoint::kMagnitudeBits));
  }
  if (owner < kPublic || owner >= parties()) {
    throw ConfigError(fmt::format("owner is {}; allowed are {} (public), {} (shared) and 0 to {}",
                                  owner, kPublic, kShared, parties() - 1));
  }
  return Secret(share.detach().clone().contiguous(), fraction_bits, owner);
}

at::Tensor Engine::zeros_like_share(at::IntArrayRef sizes) const {
  return at::zeros(sizes, at::kLong);
}

at::Tensor Engine::contribution(const Secret& x, int owner) const {
  if (!x.is_public() || owner == kPublic) return x.share();
  const int adder = std::max(owner, 0);
  return rank() == adder ? x.share() : zeros_like_share(x.sizes());
}

Secret Engine::raised(const Secret& a, int fraction_bits) const {
  if (a.fraction_bits() == fraction_bits) return a;
  const int64_t factor = int64_t{1} << (fraction_bits - a.fraction_bits());
  return Secret(at::mul(a.share(), factor), fraction_bits, a.owner());
}

Secret Engine::add(const Secret& a, const Secret& b) {
  const int bits = std::max(a.fraction_bits(), b.fraction_bits());
  const int owner = owner_of_both(a.owner(), b.owner());
  const Secret x = raised(a, bits), y = raised(b, bits);
  return Secret(at::add(contribution(x, owner), contribution(y, owner)), bits, owner);
}

Secret Engine::subtract(const Secret& a, const Secret& b) {
  const int bits = std::max(a.fraction_bits(), b.fraction_bits());
  const int owner = owner_of_both(a.owner(), b.owner());
  const Secret x = raised(a, bits), y = raised(b, bits);
  return Secret(at::sub(contribution(x, owner), contribution(y, owner)), bits, owner);
}

Secret Engine::negate(const Secret& a) const {
  return Secret(at::neg(a.share()), a.fraction_bits(), a.owner());
}

Secret Engine::sum(const Secret& a, at::IntArrayRef dims, bool keepdim) const {
  const at::OptionalIntArrayRef over =
      dims.empty() ? at::OptionalIntArrayRef() : at::OptionalIntArrayRef(dims);
  return Secret(at::sum(a.share(), over, keepdim), a.fraction_bits(), a.owner());
}

Secret Engine::cumulative_sum(const Secret& a, int64_t dim) const {
  return Secret(at::cumsum(a.share(), dim), a.fraction_bits(), a.owner());
}

Secret Engine::scale(const Secret& a, double factor) {
  const auto scalar = fixedpoint::encode_scalar(factor, precision());
  const bool settles =
      a.fraction_bits() > precision() && a.fraction_bits() + scalar.shift > product_limit();
  const Secret x = settles ? settle(a) : a;
  return Secret(at::mul(x.share(), scalar.mantissa), x.fraction_bits() + scalar.shift, x.owner());
}

Secret Engine::multiplied(const Secret& a, int64_t mantissa, int shift) const {
  if (mantissa == 1 && shift == 0) return a;
  return Secret(at::mul(a.share(), mantissa), a.fraction_bits() + shift, a.owner());
}

Secret Engine::public_units(int64_t units, int fraction_bits) const {
  return Secret(at::scalar_tensor(units, at::kLong), fraction_bits, kPublic);
}

std::vector<Secret> Engine::aligned(const std::vector<Secret>& values) const {
  if (values.empty()) throw ConfigError("values: an empty list cannot be joined");
  int bits = 0, owner = values[0].owner();
  for (const Secret& v : values) {
    bits = std::max(bits, v.fraction_bits());
    owner = owner_of_both(owner, v.owner());
  }
  std::vector<Secret> out;
  out.reserve(values.size());
  for (const Secret& v : values) {
    const Secret x = raised(v, bits);
    out.emplace_back(contribution(x, owner), bits, owner);
  }
  return out;
}

Secret Engine::combined(const std::vector<Secret>& values, at::Tensor share) const {
  // An arrangement may return what it was given; a value has its memory to itself.
  for (const Secret& v : values) {
    if (share.is_alias_of(v.share())) share = share.clone();
  }
  return Secret(std::move(share), values[0].fraction_bits(), values[0].owner());
}

void Engine::write(const Secret& destination, const Secret& source_in) {
  Store& store = *destination.store();
  const bool whole = destination.numel() == store.base.numel();
  Secret source = source_in;
  const int owner = whole ? source.owner() : owner_of_both(destination.owner(), source.owner());
  if (!whole) {
    // The elements that stay get the fraction bits of those that come: only what is pending rounds.
    const int bits = std::max(store.fraction_bits, std::min(source.fraction_bits(), precision()));
    if (source.fraction_bits() > bits) source = truncate(source, source.fraction_bits() - bits, {});
    store.base.mul_(int64_t{1} << (bits - store.fraction_bits));
    source = raised(source, bits);
  }
  if (!whole && store.owner == kPublic && owner != kPublic && rank() != std::max(owner, 0)) {
    store.base.zero_();  // a public value becomes the share of one party
  }
  destination.share().copy_(contribution(source, owner));
  store.owner = owner;
  store.fraction_bits = source.fraction_bits();
  store.opening.reset();
  store.replica.reset();
  ++store.version;
}

Secret Engine::local_product(const ring::BilinearMap& map, const Secret& a, const Secret& b) const {
  const int owner = a.is_public() ? b.owner() : a.owner();
  const int bits = a.fraction_bits() + b.fraction_bits();
  const auto sizes = map.output_sizes(a.sizes(), b.sizes());
  if (owner >= 0 && owner != rank()) return Secret(zeros_like_share(sizes), bits, owner);
  return Secret(map(a.share(), b.share()), bits, owner);
}

void Engine::check_dimensions(const Secret& a) const {
  if (a.sizes().size() > correlation::kMaxDimensions) {
    throw ShapeError(fmt::format("an operand has {} dimensions; allowed are {}", a.sizes().size(),
                                 correlation::kMaxDimensions));
  }
}

Secret Engine::product(const ring::BilinearMap& map, const Secret& a_in, const Secret& b_in) {
  const bool left_first = a_in.fraction_bits() >= b_in.fraction_bits();
  const Secret &larger = left_first ? a_in : b_in, &smaller = left_first ? b_in : a_in;
  const int excess = larger.fraction_bits() + smaller.fraction_bits() - product_limit();
  if (excess <= 0 || larger.fraction_bits() <= precision()) return wide_product(map, a_in, b_in);
  if (smaller.fraction_bits() > precision() &&
      precision() + smaller.fraction_bits() > product_limit()) {
    const auto both = settle_together({a_in, b_in});
    return wide_product(map, both[0], both[1]);
  }
  const Secret settled = settle(larger);
  return left_first ? wide_product(map, settled, b_in) : wide_product(map, a_in, settled);
}

Secret Engine::wide_product(const ring::BilinearMap& map, const Secret& a, const Secret& b) {
  check_dimensions(a);
  check_dimensions(b);
  if (a.is_public() || b.is_public() || (a.is_owned() && a.owner() == b.owner())) {
    return local_product(map, a, b);
  }
  map.output_sizes(a.sizes(), b.sizes());  // raises before anything is sent
  return shared_product(map, a, b);
}

Secret Engine::square(const Secret& a_in) {
  check_dimensions(a_in);
  const Secret a = 2 * a_in.fraction_bits() > product_limit() ? settle(a_in) : a_in;
  return is_local(a) ? local_product({ring::Bilinear::multiply, {}}, a, a) : shared_square(a);
}

Secret Engine::settle(const Secret& a) {
  const int pending = a.fraction_bits() - precision();
  return pending > 0 ? truncate(a, pending, {}) : a;
}

Truncation Engine::checked_truncation(const Cut& cut, std::optional<Truncation> kind) const {
  check_dimensions(cut.value);
  const int most = std::min(correlation::kMaxShift, cut.value.fraction_bits());
  if (cut.bits < 1 || cut.bits > most) {
    throw ConfigError(fmt::format("bits is {}; allowed are 1 to {}", cut.bits, most));
  }
  const Truncation chosen = kind.value_or(truncation());
  if (sharers() > 2 && (chosen == Truncation::local || chosen == Truncation::one_bit)) {
    throw ConfigError(
        fmt::format("truncation is {} with {} parties; allowed are interactive and exact",
                    name(chosen), parties()));
  }
  return chosen;
}

Secret Engine::truncate(const Secret& a, int bits, std::optional<Truncation> kind) {
  const Truncation chosen = checked_truncation({a, bits}, kind);
  if (is_local(a)) {
    return Secret(at::bitwise_right_shift(a.share(), int64_t{bits}), a.fraction_bits() - bits,
                  a.owner());
  }
  OperationScope scope(statistics_, "truncate");
  return shared_truncate({{a, bits}}, chosen)[0];
}

std::vector<Secret> Engine::truncate_together(const std::vector<Cut>& cuts) {
  std::vector<Secret> out;
  std::vector<Cut> shared;
  for (const Cut& cut : cuts) {
    checked_truncation(cut, {});
    out.push_back(is_local(cut.value) ? truncate(cut.value, cut.bits, {}) : cut.value);
    if (!is_local(cut.value)) shared.push_back(cut);
  }
  if (shared.empty()) return out;
  OperationScope scope(statistics_, "truncate");
  const std::vector<Secret> results = shared_truncate(shared, truncation());
  auto result = results.begin();
  for (size_t i = 0; i < cuts.size(); ++i) {
    if (!is_local(cuts[i].value)) out[i] = *result++;
  }
  return out;
}

std::vector<Secret> Engine::settle_together(const std::vector<Secret>& values) {
  std::vector<Secret> out = values;
  std::vector<Cut> cuts;
  for (const Secret& v : values) {
    if (v.fraction_bits() > precision()) cuts.push_back({v, v.fraction_bits() - precision()});
  }
  const auto settled = truncate_together(cuts);
  auto next = settled.begin();
  for (Secret& v : out) {
    if (v.fraction_bits() > precision()) v = *next++;
  }
  return out;
}

Secret Engine::relu(const Secret& a, std::optional<Secret>* sign, std::optional<double> bound) {
  const int shift = std::max(0, a.fraction_bits() - precision());
  if (is_local(a)) {
    if (sign != nullptr) *sign = at_least_zero(a);
    const at::Tensor low = at::bitwise_right_shift(a.share(), int64_t{shift});
    return Secret(at::clamp_min(low, 0), a.fraction_bits() - shift, a.owner());
  }
  OperationScope scope(statistics_, "relu");
  std::optional<int> bits_known;
  if (bound) {
    if (!(*bound > 0 && std::isfinite(*bound)))
      throw RangeError(fmt::format("bound is {}; it must be finite and above 0", *bound));
    bits_known = static_cast<int>(std::ceil(std::log2(*bound))) + a.fraction_bits();
  }
  return shared_relu(a, shift, sign, bits_known);
}

Secret Engine::at_least_zero(const Secret& a) {
  if (is_local(a)) {
    // Another party's zeros stand for a value that it does not know.
    const at::Tensor bit =
        holds(a) ? at::ge(a.share(), 0).to(at::kLong) : zeros_like_share(a.sizes());
    return Secret(bit, 0, a.owner());
  }
  OperationScope scope(statistics_, "compare");
  return shared_at_least_zero(a);
}

at::Tensor Engine::reveal(const Secret& a, std::optional<int> dst) {
  // The plaintext engine plays all parties.
  if (parties() > 1 && dst && (*dst < 0 || *dst >= parties())) {
    throw ConfigError(
        fmt::format("dst is {}; allowed are None and the ranks 0 to {}", *dst, parties() - 1));
  }
  if (reveal_guard_ && !a.is_public()) {
    reveal_guard_({statistics_.running(), a.sizes().vec(), dst});
  }
  ++statistics_.reveals;
  return opened(a, dst);
}

Secret Engine::maximum(const Secret& a_in, const Secret& b_in) {
  const Secret a = settle(a_in), b = settle(b_in);
  OperationScope scope(statistics_, "maximum");
  return add(relu(subtract(a, b)), b);
}

Secret Engine::select(const Secret& bit, const Secret& a, const Secret& b) {
  OperationScope scope(statistics_, "select");
  return add(product({ring::Bilinear::multiply, {}}, bit, subtract(a, b)), b);
}

}  // namespace cryptensor::protocol
