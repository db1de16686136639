// SPDX-License-Identifier: MIT
// Leaks planted for tests/security, which must notice every one of them. Only the target `mutants`
// defines CRYPTENSOR_MUTANTS; in every other build these functions are empty and leave no code.
//
// CRYPTENSOR_MUTANT in the environment chooses the leak by its number, CRYPTENSOR_MUTANT_IN whether
// the streams of correlations or those of zero shares have it.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef CRYPTENSOR_MUTANTS
#include <algorithm>
#include <cstdlib>
#include <cstring>
#endif

namespace cryptensor::crypto::mutant {

enum Leak {
  kNone = 0,
  kZeroMask = 1,
  kReusedMask = 2,  // by all correlations of one kind and shape
  k32Bits = 3,
  k63Bits = 4,
  kEven = 5,
  kSomeUnmasked = 6,  // one percent of the elements
  kBroadcast = 7,
  kCorrelatedOperands = 8,  // neighbours in the order of the correlations
  kUnmaskedCorrection = 9,
  kCounterStands = 10,
  kCorrectionToAll = 11,
  kUnmaskedBit = 12,  // the one that is sent to truncate a share
};

#ifdef CRYPTENSOR_MUTANTS

inline int chosen() {
  const char* number = std::getenv("CRYPTENSOR_MUTANT");
  return number == nullptr ? kNone : std::atoi(number);
}
inline bool planted(Leak leak) { return chosen() == leak; }

// Keys of correlations carry a mark, to be told from those of zero shares.
constexpr uint32_t kMark = 0x5eed1eaf;

inline bool in_scope(const uint8_t* key) {
  const char* scope = std::getenv("CRYPTENSOR_MUTANT_IN");
  const bool zero_shares = scope != nullptr && std::strcmp(scope, "zero_shares") == 0;
  return (std::memcmp(key, &kMark, sizeof kMark) == 0) != zero_shares;
}

inline uint64_t serial_of_subkey(uint64_t serial) {
  return planted(kReusedMask) ? 0 : planted(kCorrelatedOperands) ? serial & ~uint64_t{1} : serial;
}
inline void mark(uint8_t* key) { std::memcpy(key, &kMark, sizeof kMark); }

inline uint64_t stream_of_fill(const uint8_t* key, uint64_t stream) {
  return planted(kCounterStands) && in_scope(key) ? 0 : stream;
}

// A function of the draw alone, so that parties and dealer stay in step and results stay right.
inline void spoil(const uint8_t* key, void* draw, size_t n) {
  const int leak = chosen();
  if (leak == kNone || !in_scope(key)) return;
  auto* bytes = static_cast<uint8_t*>(draw);
  uint64_t first = 0;
  std::memcpy(&first, bytes, std::min(n, sizeof first));
  for (size_t i = 0; 8 * i < n; ++i) {
    const size_t size = std::min<size_t>(8, n - 8 * i);
    uint64_t word = 0;
    std::memcpy(&word, bytes + 8 * i, size);
    switch (leak) {
      case kZeroMask:
        word = 0;
        break;
      case k32Bits:
        word &= 0xffffffff;
        break;
      case k63Bits:
        word &= ~uint64_t{0} >> 1;
        break;
      case kEven:
        word &= ~uint64_t{1};
        break;
      case kSomeUnmasked:
        word = i % 100 == 0 ? 0 : word;
        break;
      case kBroadcast:
        word = first;
        break;
      default:
        return;
    }
    std::memcpy(bytes + 8 * i, &word, size);
  }
}

#else

constexpr bool planted(Leak) { return false; }
constexpr uint64_t serial_of_subkey(uint64_t serial) { return serial; }
constexpr void mark(uint8_t*) {}
constexpr uint64_t stream_of_fill(const uint8_t*, uint64_t stream) { return stream; }
constexpr void spoil(const uint8_t*, void*, size_t) {}

#endif

}  // namespace cryptensor::crypto::mutant
