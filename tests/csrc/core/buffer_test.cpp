// SPDX-License-Identifier: MIT
#include "core/buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cryptensor {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

class BufferTest : public testing::Test {
 protected:
  void SetUp() override { drop_pool(); }
  void TearDown() override { drop_pool(); }
};

TEST_F(BufferTest, IsAlignedWithUsableSlackBehind) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{65535},
                       size_t{65536}, size_t{65537}, 81920 + size_t{1}, kMiB - 1, kMiB, kMiB + 1}) {
    Buffer buffer(bytes);
    EXPECT_EQ(buffer.size(), bytes);
    ASSERT_NE(buffer.data(), nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u) << bytes;
    std::memset(buffer.data(), 0xa5, bytes + 64);  // ASan reports a block that is too short
  }
}

TEST_F(BufferTest, DefaultIsEmpty) {
  Buffer buffer;
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.size(), 0u);
  buffer.zero();
}

TEST_F(BufferTest, ZeroReachesTheSlack) {
  Buffer buffer(100);
  std::memset(buffer.data(), 0xff, 164);
  buffer.zero();
  for (size_t i = 0; i < 164; ++i) ASSERT_EQ(buffer.data()[i], 0) << i;
}

TEST_F(BufferTest, AsSeesTheSameBytes) {
  Buffer buffer(16);
  buffer.as<uint64_t>()[1] = 0x0102030405060708;
  EXPECT_EQ(buffer.data()[8], 0x08);
  EXPECT_EQ(std::as_const(buffer).as<uint64_t>()[1], 0x0102030405060708u);
}

TEST_F(BufferTest, MovingHandsTheBlockOver) {
  Buffer first(kMiB);
  uint8_t* block = first.data();
  Buffer second(std::move(first));
  EXPECT_EQ(second.data(), block);
  EXPECT_EQ(first.data(), nullptr);
  EXPECT_EQ(first.size(), 0u);

  Buffer third(2 * kMiB);
  third = std::move(second);
  EXPECT_EQ(third.data(), block);
  EXPECT_EQ(third.size(), kMiB);
  EXPECT_EQ(pooled_bytes(), 2 * kMiB);  // what `third` held before
}

TEST_F(BufferTest, SelfMoveKeepsTheBlock) {
  Buffer buffer(kMiB);
  Buffer& alias = buffer;
  uint8_t* block = buffer.data();
  buffer = std::move(alias);
  EXPECT_EQ(buffer.data(), block);
  EXPECT_EQ(buffer.size(), kMiB);
}

TEST_F(BufferTest, LargeBlocksAreReused) {
  uint8_t* block = Buffer(kMiB).data();
  EXPECT_EQ(pooled_bytes(), kMiB);
  Buffer again(kMiB - 1000);  // the same size class
  EXPECT_EQ(again.data(), block);
  EXPECT_EQ(pooled_bytes(), 0u);
}

// A sanitizer keeps blocks apart for a while; then there is nothing to see. The first bytes belong
// to the allocator.
TEST_F(BufferTest, WhatTheAllocatorGetsBackIsWiped) {
  for (const size_t size : {size_t{1000}, size_t{4096}, size_t{64} << 10, size_t{100} << 10}) {
    uint8_t* block = nullptr;
    {
      Buffer secret(size);
      block = secret.data();
      std::memset(block, 0xA5, size + 64);
    }
    drop_pool();
    Buffer next(size);
    if (next.data() != block) continue;
    size_t left = 0;
    for (size_t i = 64; i < size + 64; ++i) left += next.data()[i] == 0xA5;
    EXPECT_EQ(left, 0u) << size;
  }
}

// The flags of the mapping that holds `address`, from the system's list of them.
std::string mapping_flags(const uint8_t* address) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t first = 0, last = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2) {
      const auto place = reinterpret_cast<uintptr_t>(address);
      inside = first <= place && place < last;
    }
    if (inside && line.starts_with("VmFlags:")) return line;
  }
  return "";
}

TEST_F(BufferTest, ACoreDumpLeavesLargeBlocksOut) {
  const uint8_t* block = nullptr;
  for (const size_t size : {size_t{64} << 10, kMiB, 5 * kMiB}) {
    {
      const Buffer secret(size);
      block = secret.data();
      for (const size_t offset : {size_t{0}, size / 2, size + 63}) {
        EXPECT_NE(mapping_flags(block + offset).find(" dd"), std::string::npos) << size;
      }
    }
    EXPECT_NE(mapping_flags(block).find(" dd"), std::string::npos) << size;  // in the pool
  }
}

TEST_F(BufferTest, AnotherSizeClassIsNotReused) {
  {
    Buffer released(kMiB);
  }
  Buffer larger(kMiB + 1);
  EXPECT_EQ(pooled_bytes(), kMiB);
}

TEST_F(BufferTest, SmallBlocksStayOutOfThePool) {
  {
    Buffer released(1000);
  }
  EXPECT_EQ(pooled_bytes(), 0u);
}

TEST_F(BufferTest, DroppingThePoolLeavesLiveBlocks) {
  Buffer live(kMiB);
  {
    Buffer released(3 * kMiB);
  }
  EXPECT_EQ(pooled_bytes(), 3 * kMiB);
  drop_pool();
  EXPECT_EQ(pooled_bytes(), 0u);
  std::memset(live.data(), 1, live.size());
}

TEST_F(BufferTest, ATrimReturnsWhatNobodyNeededSinceTheLast) {
  {
    const Buffer first(kMiB), second(kMiB), third(kMiB), other(3 * kMiB);
  }
  trim_pool();  // all of them were needed
  EXPECT_EQ(pooled_bytes(), 6 * kMiB);
  {
    const Buffer first(kMiB);
    const Buffer second(kMiB);
  }
  trim_pool();
  EXPECT_EQ(pooled_bytes(), 2 * kMiB) << "two were needed at the same time";
  trim_pool();
  EXPECT_EQ(pooled_bytes(), 0u);
}

TEST_F(BufferTest, ATrimWipesWhatItReturns) {
  const size_t size = 100 << 10;
  uint8_t* block = nullptr;
  {
    Buffer secret(size);
    block = secret.data();
    std::memset(block, 0xA5, size);
  }
  trim_pool();
  trim_pool();
  Buffer next(size);
  if (next.data() != block) GTEST_SKIP() << "the allocator keeps blocks apart";
  EXPECT_EQ(std::count(next.data() + 64, next.data() + size, 0xA5), 0);
}

TEST_F(BufferTest, ThePoolKeepsNoMoreThanItsLimit) {
  {
    std::vector<Buffer> blocks;  // never touched, so they cost addresses and no memory
    for (int i = 0; i < 5; ++i) blocks.emplace_back(kPoolLimit / 4);
  }
  EXPECT_EQ(pooled_bytes(), kPoolLimit);
  {
    Buffer beyond(2 * kPoolLimit);
  }
  EXPECT_EQ(pooled_bytes(), kPoolLimit);
}

TEST_F(BufferTest, AnImpossibleSizeIsRefused) {
  EXPECT_THROW(Buffer(std::numeric_limits<size_t>::max()), std::bad_alloc);
  EXPECT_THROW(Buffer(std::numeric_limits<size_t>::max() / 2), std::bad_alloc);
}

TEST_F(BufferTest, ThreadsNeverShareABlock) {
  std::vector<std::thread> threads;
  std::vector<int> overwritten(4, 0);
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([id, &overwritten] {
      for (int round = 0; round < 300; ++round) {
        Buffer buffer(65536 + static_cast<size_t>(round % 3) * 65536);
        std::memset(buffer.data(), id, 256);
        std::this_thread::yield();
        for (size_t i = 0; i < 256; ++i) overwritten[id] += buffer.data()[i] != id;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(overwritten, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace cryptensor
