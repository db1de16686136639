// SPDX-License-Identifier: MIT
// Bar: 8 GB/s for large draws, and less than 200 ns to make a Prg on avx512.
#include <benchmark/benchmark.h>

#include "core/buffer.h"
#include "crypto/key.h"
#include "crypto/prg.h"

namespace cryptensor::crypto {
namespace {

bool skip(benchmark::State& state, Isa choice) {
  if (supported(choice)) return false;
  state.SkipWithError("not supported by this processor");
  return true;
}

void fill(benchmark::State& state, Isa choice) {
  if (skip(state, choice)) return;
  const Prg prg(random_key(), choice);
  const auto bytes = static_cast<size_t>(state.range(0));
  Buffer buffer(bytes);
  uint64_t stream = 0;
  for (auto _ : state) {
    prg.fill(stream++, 0, buffer.data(), bytes);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void construct(benchmark::State& state, Isa choice) {
  if (skip(state, choice)) return;
  const Key key = random_key();
  for (auto _ : state) {
    Prg prg(key, choice);
    benchmark::DoNotOptimize(prg);
  }
}

void subkey(benchmark::State& state, Isa choice) {
  if (skip(state, choice)) return;
  const Prg prg(random_key(), choice);
  uint64_t index = 0;
  for (auto _ : state) benchmark::DoNotOptimize(prg.subkey(0, index++));
}

void derive_key(benchmark::State& state) {
  const Key parent = random_key();
  uint64_t index = 0;
  for (auto _ : state) benchmark::DoNotOptimize(derive(parent, "benchmark", index++));
}

BENCHMARK_CAPTURE(fill, avx512, Isa::avx512)->Arg(64)->Arg(1 << 10)->Arg(1 << 14)->Arg(1 << 20);
BENCHMARK_CAPTURE(fill, portable, Isa::portable)->Arg(64)->Arg(1 << 10)->Arg(1 << 14)->Arg(1 << 20);
BENCHMARK_CAPTURE(construct, avx512, Isa::avx512);
BENCHMARK_CAPTURE(construct, portable, Isa::portable);
BENCHMARK_CAPTURE(subkey, avx512, Isa::avx512);
BENCHMARK_CAPTURE(subkey, portable, Isa::portable);
BENCHMARK(derive_key);

}  // namespace
}  // namespace cryptensor::crypto
