// SPDX-License-Identifier: MIT
// What the dealer does, beside what bounds it: the expansion of masks, and the products. Bar: 60 %
// of `limit`, the time that the expansions and products alone would take at the rates measured
// here. benchmarks/offline.py makes the table.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "core/buffer.h"
#include "correlation/dealer.h"
#include "correlation/plan.h"

namespace cryptensor::correlation {
namespace {

constexpr int kParties = 2;
constexpr uint32_t kBoth = 3;

MaskView whole(uint64_t serial, std::vector<int64_t> sizes) {
  uint64_t numel = 1;
  for (const int64_t size : sizes) numel *= size;
  std::vector<int64_t> strides(sizes.size());
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0; step *= sizes[i]) strides[i] = step;
  const uint64_t digest = Descriptor::make_mask(numel, kBoth).digest();
  return {{serial, digest, numel, kBoth, false}, std::move(sizes), std::move(strides), 0};
}

const ring::BilinearMap kMultiply{ring::Bilinear::multiply, {}};
const ring::BilinearMap kMatmul{ring::Bilinear::matmul, {}};
const ring::BilinearMap kConvolution{ring::Bilinear::convolution, {{1, 1}, {1, 1}, {1, 1}, 1}};

Descriptor relu(int64_t n) { return Descriptor::make_comparison(n, Comparison::relu_truncate, 16); }
Descriptor product(int64_t n) {
  return Descriptor::make_bilinear(kMultiply, whole(0, {n}), whole(1, {n}));
}
Descriptor matmul(int64_t n) {
  return Descriptor::make_bilinear(kMatmul, whole(0, {n, n}), whole(1, {n, n}));
}
Descriptor convolution(int64_t channels) {
  return Descriptor::make_bilinear(kConvolution, whole(0, {1, channels, 56, 56}),
                                   whole(1, {channels, channels, 3, 3}));
}
Descriptor truncation(int64_t n) { return Descriptor::make_truncation(whole(0, {n}), 16); }

// Bytes of all PRG streams that this correlation needs, each once.
uint64_t expanded_bytes(const Descriptor& d) {
  uint64_t out = (kParties - 1) * d.correction_bytes();
  if (d.kind == Kind::comparison) {
    const ComparisonLayout layout(d.numel, d.comparison, d.shift, d.significant);
    out += kParties * (8 * layout.padded + layout.level1_bytes() + layout.level2_bytes());
    return out + 8 * layout.words;
  }
  out += kParties * 8 * d.left.mask.numel;
  return d.kind == Kind::bilinear ? out + kParties * 8 * d.right.mask.numel : out;
}

void deal(benchmark::State& state, Descriptor (*make)(int64_t)) {
  const Descriptor descriptor = make(state.range(0));
  const Dealer dealer({crypto::random_key(), crypto::random_key()});
  Buffer out(descriptor.correction_bytes());
  uint64_t serial = 2;
  for (auto _ : state) dealer.deal(serial++, descriptor, out.data());
  const double out_elements = descriptor.kind == Kind::bilinear
                                  ? static_cast<double>(descriptor.correction_bytes() / 8)
                                  : static_cast<double>(state.range(0));
  state.counters["elements"] = out_elements;
  state.counters["corrections"] = static_cast<double>(descriptor.correction_bytes());
  state.counters["expanded"] = static_cast<double>(expanded_bytes(descriptor));
  state.counters["multiplications"] = static_cast<double>(multiplications(descriptor));
}

// The rate of expansions into the cache, where the kernels use them.
void expand(benchmark::State& state) {
  const crypto::Prg prg(crypto::random_key());
  const auto bytes = static_cast<size_t>(state.range(0));
  Buffer buffer(bytes);
  uint64_t stream = 0;
  for (auto _ : state) {
    prg.fill(stream++, 0, buffer.data(), bytes);
    benchmark::ClobberMemory();
  }
  state.counters["expanded"] = static_cast<double>(bytes);
}

void multiply(benchmark::State& state, Descriptor (*make)(int64_t)) {
  const Descriptor d = make(state.range(0));
  const at::Tensor left = at::randint(1 << 30, d.left.sizes, at::kLong);
  const at::Tensor right = at::randint(1 << 30, d.right.sizes, at::kLong);
  for (auto _ : state) benchmark::DoNotOptimize(d.map(left, right));
  state.counters["multiplications"] = static_cast<double>(multiplications(d));
}

void single_thread(const benchmark::State&) { at::set_num_threads(1); }

BENCHMARK(expand)->Arg(1 << 14)->Arg(1 << 23)->Setup(single_thread);
BENCHMARK_CAPTURE(multiply, matmul, matmul)->Arg(512)->Setup(single_thread);
BENCHMARK_CAPTURE(multiply, conv, convolution)->Arg(64)->Setup(single_thread);
BENCHMARK_CAPTURE(deal, relu, relu)->Arg(1000)->Arg(100000)->Arg(1000000)->Setup(single_thread);
BENCHMARK_CAPTURE(deal, product, product)
    ->Arg(1000)
    ->Arg(100000)
    ->Arg(1000000)
    ->Setup(single_thread);
BENCHMARK_CAPTURE(deal, truncation, truncation)->Arg(100000)->Setup(single_thread);
BENCHMARK_CAPTURE(deal, matmul, matmul)->Arg(64)->Arg(512)->Setup(single_thread);
BENCHMARK_CAPTURE(deal, conv, convolution)->Arg(64)->Setup(single_thread);

}  // namespace
}  // namespace cryptensor::correlation
