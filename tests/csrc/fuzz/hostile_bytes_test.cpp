// SPDX-License-Identifier: MIT
// The targets of the fuzzers with their corpus and 10^4 mutations each, for every compiler.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "fuzz/targets.h"

namespace {
std::atomic<size_t> largest_allocation{0};
}

// Bytes of a peer that claim any length must not be believed. Inlined, the pairs of new and free
// would look like a mistake to the compiler.
[[gnu::noinline]] void* operator new(size_t bytes) {
  size_t largest = largest_allocation;
  while (bytes > largest && !largest_allocation.compare_exchange_weak(largest, bytes)) {
  }
  void* const block = std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, size_t) noexcept { std::free(block); }

namespace cryptensor::fuzz {
namespace {

constexpr int kMutations = 10'000;
constexpr size_t kMostBytes = size_t{1} << 20;

using Content = std::vector<uint8_t>;

std::vector<Content> corpus(const char* target) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(CT_FUZZ_CORPUS) + "/" + target)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Content> contents;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return contents;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  Content operator()(Content bytes) {
    for (size_t i = below(4) + 1; i > 0; --i) change(bytes);
    return bytes;
  }
  size_t below(size_t end) { return random_() % end; }

 private:
  void change(Content& bytes) {
    constexpr uint64_t kEnds[] = {0,
                                  1,
                                  255,
                                  uint64_t{1} << 31,
                                  (uint64_t{1} << 31) + 1,
                                  uint64_t{1} << 32,
                                  uint64_t{1} << 60,
                                  uint64_t{1} << 63,
                                  ~uint64_t{0}};
    const size_t place = below(bytes.size() + 1), kind = below(6);
    if (kind == 0) return bytes.resize(place);
    if (kind == 1) {
      const Content more(below(16) + 1, static_cast<uint8_t>(random_()));
      bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(place), more.begin(), more.end());
      return;
    }
    if (place == bytes.size()) return;
    if (kind == 2) {
      bytes[place] ^= static_cast<uint8_t>(1u << below(8));
    } else if (kind == 3) {
      bytes[place] = static_cast<uint8_t>(random_());
    } else {  // a number of one to eight bytes, at an end of its range or next to what it was
      const size_t size = std::min(bytes.size() - place, size_t{1} << below(4));
      uint64_t value = kEnds[below(std::size(kEnds))];
      if (kind == 5) value = bytes[place] + (below(2) == 0 ? 1 : ~uint64_t{0});
      std::memcpy(bytes.data() + place, &value, size);
    }
  }

  std::mt19937_64 random_;
};

class HostileBytes : public testing::TestWithParam<Target> {};

TEST_P(HostileBytes, AreRefusedByName) {
  const Target& target = GetParam();
  const std::vector<Content> seeds = corpus(target.name);
  ASSERT_GE(seeds.size(), 3u);
  for (const Content& seed : seeds) EXPECT_NO_THROW(target.run(seed));
  largest_allocation = 0;
  Mutator mutate(20240229);
  for (int i = 0; i < kMutations; ++i) {
    const Content bytes = mutate(seeds[mutate.below(seeds.size())]);
    ASSERT_NO_THROW(target.run(bytes))
        << "mutation " << i << " of " << testing::PrintToString(bytes);
  }
  EXPECT_LT(largest_allocation, kMostBytes);
}

INSTANTIATE_TEST_SUITE_P(Targets, HostileBytes, testing::ValuesIn(kTargets),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace cryptensor::fuzz
