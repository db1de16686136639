// SPDX-License-Identifier: MIT
#include "crypto/prg.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"

namespace cryptensor::crypto {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kLines = uint64_t{1} << 62;

// The key of SP 800-38A.
Key test_key() {
  return Key{{0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf,
              0x4f, 0x3c}};
}

// What OpenSSL's aes-128-ctr makes of n zeros: an implementation that shares no code with Prg.
Bytes openssl_ctr(const Key& key, uint64_t high, uint64_t low, size_t n) {
  uint8_t counter[16];
  for (int i = 0; i < 8; ++i) {
    counter[i] = static_cast<uint8_t>(high >> (56 - 8 * i));
    counter[8 + i] = static_cast<uint8_t>(low >> (56 - 8 * i));
  }
  Bytes bytes(n, 0);
  int written = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nullptr, key.bytes.data(), counter), 1);
  EXPECT_EQ(EVP_EncryptUpdate(context, bytes.data(), &written, bytes.data(), static_cast<int>(n)),
            1);
  EVP_CIPHER_CTX_free(context);
  return bytes;
}

Bytes draw(const Prg& prg, uint64_t stream, uint64_t line, size_t n) {
  Bytes bytes(n);
  prg.fill(stream, line, bytes.data(), n);
  return bytes;
}

class PrgTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!supported(GetParam())) GTEST_SKIP() << "this processor lacks " << name(GetParam());
  }
  Prg prg() const { return Prg(test_key(), GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Isas, PrgTest, testing::Values(Isa::portable, Isa::avx512),
                         [](const auto& param_info) { return name(param_info.param); });

// SP 800-38A, F.5.1 CTR-AES128.Encrypt. Its counter lies in the half that belongs to subkey.
TEST_P(PrgTest, NistVectors) {
  const char* plain[] = {"6bc1bee22e409f96e93d7e117393172a", "ae2d8a571e03ac9c9eb76fac45af8e51",
                         "30c81c46a35ce411e5fbc1191a0a52ef", "f69f2445df4f9b17ad2b417be66c3710"};
  const char* cipher[] = {"874d6191b620e3261bef6864990db6ce", "9806f66b7970fdff8617187bb9fffdff",
                          "5ae4df3edbd5d35e5b4f09020db03eab", "1e031dda2fbe03d1792170a0f3009cee"};
  for (uint64_t block = 0; block < 4; ++block) {
    const Key stream = prg().subkey(0xf0f1f2f3f4f5f6f7, 0xf8f9fafbfcfdfeff + block);
    for (size_t i = 0; i < 16; ++i) {
      const int p = std::stoi(std::string(plain[block] + 2 * i, 2), nullptr, 16);
      const int c = std::stoi(std::string(cipher[block] + 2 * i, 2), nullptr, 16);
      ASSERT_EQ(stream.bytes[i], p ^ c) << "block " << block << " byte " << i;
    }
  }
}

TEST_P(PrgTest, EqualsOpensslForOddSizesAndPositions) {
  const Prg generator = prg();
  for (uint64_t stream :
       {uint64_t{0}, uint64_t{1}, uint64_t{0x0123456789abcdef}, (uint64_t{1} << 63) - 1}) {
    // The second and third carry between the bytes of the counter, within a draw.
    for (uint64_t line : {uint64_t{0}, uint64_t{62}, uint64_t{0x3ffffffe}, kLines / 2}) {
      for (size_t n : {1,   15,  16,  17,   63,   64,   65,   127,  448,  511,
                       512, 513, 575, 1000, 1023, 1537, 8191, 8192, 8193, 20001}) {
        ASSERT_EQ(draw(generator, stream, line, n), openssl_ctr(test_key(), stream, 4 * line, n))
            << "stream " << stream << " line " << line << " n " << n;
      }
    }
  }
}

TEST_P(PrgTest, ADrawMayBeCutAtLines) {
  const Prg generator = prg();
  const Bytes whole = draw(generator, 7, 5, 3001);
  for (size_t step : {1, 3, 8, 13}) {
    Bytes pieces(whole.size());
    for (size_t line = 0; 64 * line < whole.size(); line += step) {
      const size_t n = std::min(64 * step, whole.size() - 64 * line);
      generator.fill(7, 5 + line, pieces.data() + 64 * line, n);
    }
    ASSERT_EQ(pieces, whole) << step << " lines at a time";
  }
}

TEST_P(PrgTest, AShorterDrawIsAPrefix) {
  const Prg generator = prg();
  const Bytes whole = draw(generator, 9, 0, 1200);
  for (size_t n = 0; n <= whole.size(); ++n) {
    ASSERT_EQ(draw(generator, 9, 0, n), Bytes(whole.begin(), whole.begin() + n)) << n;
  }
}

TEST_P(PrgTest, WritesNothingOutsideTheDestination) {
  const Prg generator = prg();
  for (size_t offset : {0, 1, 7, 33}) {
    for (size_t n = 0; n <= 600; ++n) {
      Bytes memory(offset + n + 64, 0xee);
      generator.fill(3, 0, memory.data() + offset, n);
      ASSERT_EQ(std::count(memory.begin(), memory.begin() + offset, 0xee), offset);
      ASSERT_EQ(std::count(memory.end() - 64, memory.end(), 0xee), 64) << n;
      ASSERT_EQ(Bytes(memory.begin() + offset, memory.end() - 64), draw(generator, 3, 0, n));
    }
  }
}

TEST_P(PrgTest, StreamsLinesAndKeysDiffer) {
  std::set<std::array<uint8_t, 16>> seen;
  const auto see = [&seen](const Prg& generator, uint64_t stream, uint64_t line) {
    std::array<uint8_t, 16> block;
    generator.fill(stream, line, block.data(), block.size());
    seen.insert(block);
  };
  const Prg first = prg();
  const Prg second(derive(test_key(), "other"), GetParam());
  for (uint64_t stream = 0; stream < 20; ++stream) {
    for (uint64_t line = 0; line < 20; ++line) {
      see(first, stream, line);
      see(second, stream, line);
    }
  }
  EXPECT_EQ(seen.size(), 800u);
}

TEST_P(PrgTest, TheLastLineIsReachableAndNothingBeyond) {
  const Prg generator = prg();
  EXPECT_EQ(draw(generator, 1, kLines - 1, 64), openssl_ctr(test_key(), 1, 4 * (kLines - 1), 64));
  uint8_t bytes[65];
  EXPECT_NO_THROW(generator.fill(1, kLines, bytes, 0));
  EXPECT_THROW(generator.fill(1, kLines - 1, bytes, 65), RangeError);
  EXPECT_THROW(generator.fill(1, kLines, bytes, 1), RangeError);
  EXPECT_THROW(generator.fill(1, ~uint64_t{0}, bytes, 1), RangeError);
}

TEST_P(PrgTest, StreamsOfSubkeysAreRefused) {
  uint8_t byte = 0;
  EXPECT_THROW(prg().fill(uint64_t{1} << 63, 0, &byte, 1), RangeError);
}

TEST_P(PrgTest, SubkeyIsABlockOfTheReservedHalf) {
  const Key key = prg().subkey(5, ~uint64_t{0});
  EXPECT_EQ(Bytes(key.bytes.begin(), key.bytes.end()),
            openssl_ctr(test_key(), (uint64_t{1} << 63) | 5, ~uint64_t{0}, 16));
  EXPECT_NE(prg().subkey(5, 0).bytes, prg().subkey(5, 1).bytes);
  EXPECT_NE(prg().subkey(5, 0).bytes, prg().subkey(0, 5).bytes);
}

TEST_P(PrgTest, ThreadsMayShareOne) {
  const Prg generator = prg();
  std::vector<Bytes> results(4);
  std::vector<std::thread> threads;
  for (size_t id = 0; id < results.size(); ++id) {
    threads.emplace_back([&, id] {
      for (int round = 0; round < 50; ++round) results[id] = draw(generator, id, 0, 20000);
    });
  }
  for (auto& thread : threads) thread.join();
  for (size_t id = 0; id < results.size(); ++id) {
    EXPECT_EQ(results[id], openssl_ctr(test_key(), id, 0, 20000));
  }
}

TEST_P(PrgTest, MovesWithItsKey) {
  Prg source = prg();
  Prg target(derive(test_key(), "other"), GetParam());
  target = std::move(source);
  EXPECT_EQ(draw(target, 4, 4, 100), draw(prg(), 4, 4, 100));
}

// Runs `body` in a forked process and returns its exit status.
template <class Body>
int exit_status_in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_P(PrgTest, IsRefusedInAForkedProcess) {
  const Prg generator = prg();
  EXPECT_EQ(exit_status_in_child([&] {
              uint8_t byte = 0;
              try {
                generator.fill(0, 0, &byte, 1);
                return 1;
              } catch (const Error& error) {
                if (std::string(error.what()).find("copied by fork") == std::string::npos) return 2;
              }
              try {
                generator.subkey(0, 0);
                return 3;
              } catch (const Error&) {
                return 0;
              }
            }),
            0);
  EXPECT_EQ(draw(generator, 0, 0, 10), openssl_ctr(test_key(), 0, 0, 10));  // the parent goes on
}

TEST_P(PrgTest, OneMadeInAForkedProcessWorks) {
  EXPECT_EQ(exit_status_in_child(
                [&] { return draw(prg(), 0, 0, 10) == openssl_ctr(test_key(), 0, 0, 10) ? 0 : 1; }),
            0);
}

TEST_P(PrgTest, KeyScheduleIsWipedOnDestruction) {
  alignas(Prg) unsigned char storage[sizeof(Prg)] = {};
  const Key key = test_key();
  const auto holds_key = [&] {
    return std::search(storage, storage + sizeof storage, key.bytes.begin(), key.bytes.end()) !=
           storage + sizeof storage;
  };
  Prg* generator = new (storage) Prg(key, GetParam());
  EXPECT_TRUE(holds_key());
  generator->~Prg();
  EXPECT_FALSE(holds_key());
  // The round keys follow two words of bookkeeping; each of them gives the key away.
  const volatile unsigned char* bytes = storage;
  for (size_t i = 16; i < sizeof storage; ++i) EXPECT_EQ(bytes[i], 0) << i;
}

TEST(PrgDefaultTest, FollowsTheIsaOfTheProcess) {
  EXPECT_EQ(draw(Prg(test_key()), 2, 3, 777), draw(Prg(test_key(), isa()), 2, 3, 777));
}

TEST(PrgDefaultTest, IsasAgreeBitForBit) {
  if (!supported(Isa::avx512)) GTEST_SKIP() << "this processor has one instruction set only";
  const Prg portable(test_key(), Isa::portable);
  const Prg vector(test_key(), Isa::avx512);
  uint64_t state = 1;  // a fixed sequence of positions: Knuth's MMIX generator
  for (int round = 0; round < 2000; ++round) {
    state = state * 6364136223846793005 + 1442695040888963407;
    const uint64_t stream = state >> 1, line = (state * 31) >> 3;
    const size_t n = (state >> 40) % 3000;
    ASSERT_EQ(draw(vector, stream, line, n), draw(portable, stream, line, n))
        << stream << " " << line << " " << n;
    ASSERT_EQ(vector.subkey(stream, line).bytes, portable.subkey(stream, line).bytes);
  }
}

}  // namespace
}  // namespace cryptensor::crypto
