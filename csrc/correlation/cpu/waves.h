// SPDX-License-Identifier: MIT
// Cosine, sine and powers of two in integers: every processor gives the same bits.
#pragma once

#include <array>
#include <cstdint>

namespace cryptensor::correlation {

constexpr int kWaveTableBits = 10;
constexpr int kWaveTableSize = 1 << kWaveTableBits;

struct WaveTables {
  // By multiples of 2^-10 and of 2^-20 of a turn: the cosine in the low half of an entry, the sine
  // in the high one, kWaveBits fraction bits.
  alignas(64) std::array<uint64_t, kWaveTableSize> coarse, fine;
  // 2^(k / 2^10) and 2^(k / 2^20), kWaveBits fraction bits.
  alignas(64) std::array<uint64_t, kWaveTableSize> coarse_power, fine_power;
};
const WaveTables& wave_tables();

}  // namespace cryptensor::correlation
