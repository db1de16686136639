// SPDX-License-Identifier: MIT
// Cosine, sine and powers of two in integers: every processor gives the same bits.
#pragma once

#include <array>
#include <cstdint>

namespace cryptensor::correlation {

constexpr int kWaveTableBits = 10;
constexpr int kWaveTableSize = 1 << kWaveTableBits;

struct Rotation {
  int32_t cosine, sine;  // kWaveBits fraction bits
};

struct WaveTables {
  // By multiples of 2^-10 and of 2^-20 of a turn.
  std::array<Rotation, kWaveTableSize> coarse, fine;
  // 2^(k / 2^10) and 2^(k / 2^20), kWaveBits fraction bits.
  std::array<uint32_t, kWaveTableSize> coarse_power, fine_power;
};
const WaveTables& wave_tables();

}  // namespace cryptensor::correlation
