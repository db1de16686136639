// SPDX-License-Identifier: MIT
#include "net/shared_memory_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;
using Content = std::vector<uint8_t>;

class Ring : public testing::Test {
 protected:
  static RingEnd::Deadline in(milliseconds time) { return std::chrono::steady_clock::now() + time; }

  Content noise(size_t size) {
    Content content(size);
    for (size_t i = 0; i < size; i += 8) {
      const uint64_t value = random();
      std::memcpy(&content[i], &value, std::min<size_t>(8, size - i));
    }
    return content;
  }

  std::unique_ptr<RingMemory> memory = std::make_unique<RingMemory>();
  RingWriter writer{*memory};
  RingReader reader{*memory};
  std::mt19937_64 random{7};
};

TEST_F(Ring, CarriesBytesOfAnySizes) {
  Content sent, received;
  while (sent.size() < size_t{3} * kRingBytes) {
    Content more = noise(random() % (random() % 2 == 0 ? 100 : kRingBytes));
    const size_t taken = writer.write_some(more);
    sent.insert(sent.end(), more.begin(), more.begin() + static_cast<ptrdiff_t>(taken));
    Content got(random() % (kRingBytes / 2));
    got.resize(reader.read_some(got));
    received.insert(received.end(), got.begin(), got.end());
    if (random() % 2 == 0) reader.release();
  }
  Content rest(kRingBytes);
  rest.resize(reader.read_some(rest));
  received.insert(received.end(), rest.begin(), rest.end());
  EXPECT_TRUE(sent == received);
}

TEST_F(Ring, IsFullAndThenEmpty) {
  const Content content = noise(kRingBytes + 1);
  EXPECT_EQ(writer.write_some(content), kRingBytes);
  EXPECT_EQ(writer.write_some(content), 0u);
  EXPECT_EQ(reader.skip_some(3), 3u);
  reader.release();
  EXPECT_EQ(writer.write_some(content), 3u);
  EXPECT_EQ(reader.skip_some(~uint64_t{0}), kRingBytes);
  EXPECT_EQ(reader.skip_some(1), 0u);
}

TEST_F(Ring, SmallFramesReuseTheSameBytes) {
  for (uint8_t i = 1; i < 100; ++i) {
    writer.write_some(std::span(&i, 1));
    uint8_t got = 0;
    EXPECT_EQ(reader.read_some(std::span(&got, 1)), 1u);
    reader.release();
    EXPECT_EQ(got, i);
    EXPECT_EQ(memory->content[0], i);
    EXPECT_EQ(memory->content[1], 0);
  }
}

TEST_F(Ring, WaitsForTheOtherSide) {
  EXPECT_FALSE(reader.wait(reader.seen(), in(milliseconds(5))));
  std::thread late([this] {
    std::this_thread::sleep_for(milliseconds(20));
    writer.write_some(Content(1));
  });
  EXPECT_TRUE(reader.wait(reader.seen(), in(milliseconds(20000))));
  late.join();
  EXPECT_EQ(reader.skip_some(1), 1u);
  EXPECT_FALSE(reader.wait(reader.seen(), in(milliseconds(5))));
}

TEST_F(Ring, ManyRoundsBetweenThreadsThatSleep) {
  constexpr int kRounds = 3000;
  auto back = std::make_unique<RingMemory>();
  const auto pass = [&](RingWriter& to, RingReader& from, bool begins) {
    std::mt19937 pause(begins);
    for (int round = 0; round < kRounds; ++round) {
      uint8_t value = static_cast<uint8_t>(round), got = 0;
      if (pause() % 50 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
      if (begins) to.write_some({&value, 1});
      while (from.read_some({&got, 1}) == 0) from.wait(from.seen(), in(milliseconds(20000)));
      from.release();
      ASSERT_EQ(got, value);
      if (!begins) to.write_some({&value, 1});
    }
  };
  RingWriter answer(*back);
  RingReader answered(*back);
  std::thread other([&] { pass(answer, reader, false); });
  pass(writer, answered, true);
  other.join();
}

// Whatever the peer writes into the memory: a ProtocolError, or bytes of the ring.
TEST_F(Ring, ImpossibleCountsAreRefused) {
  int refused = 0;
  for (int i = 0; i < 5'000; ++i) {
    const auto number = [this] {
      const uint32_t near = kRingBytes + static_cast<uint32_t>(random() % 5) - 2;
      const uint32_t values[] = {0, 1, near, ~near, ~0u, static_cast<uint32_t>(random())};
      return values[random() % std::size(values)];
    };
    for (auto* word : {&memory->written.bytes, &memory->read.bytes, &memory->start,
                       &memory->written.waited, &memory->read.waited}) {
      word->store(number());
    }
    RingReader victim(*memory);
    RingWriter other(*memory);
    Content room(random() % 300 == 0 ? kRingBytes + 9 : 3000);
    for (const bool reads : {true, false}) {
      try {
        ASSERT_LE(reads ? victim.read_some(room) : other.write_some(room), room.size());
        ASSERT_LE(victim.skip_some(number()), kRingBytes);
        victim.release();
      } catch (const ProtocolError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace cryptensor::net
