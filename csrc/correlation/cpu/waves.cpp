// SPDX-License-Identifier: MIT
#include "correlation/cpu/waves.h"

#include "correlation/characters.h"

namespace cryptensor::correlation {
namespace {

constexpr int kDigits = 62;

int64_t product(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<__int128>(a) * b >> kDigits);
}

int64_t rounded(int64_t value) {
  constexpr int kDrop = kDigits - kWaveBits;
  return (value + (int64_t{1} << (kDrop - 1))) >> kDrop;
}

void fill_rotations(std::array<uint64_t, kWaveTableSize>& table, int64_t cosine, int64_t sine) {
  int64_t c = int64_t{1} << kDigits, s = 0;
  for (uint64_t& entry : table) {
    entry = static_cast<uint32_t>(rounded(c)) | static_cast<uint64_t>(rounded(s)) << 32;
    const int64_t next = product(c, cosine) - product(s, sine);
    s = product(c, sine) + product(s, cosine);
    c = next;
  }
}

void fill_powers(std::array<uint64_t, kWaveTableSize>& table, int64_t root) {
  int64_t power = int64_t{1} << kDigits;
  for (uint64_t& entry : table) {
    entry = static_cast<uint64_t>(rounded(power));
    power = static_cast<int64_t>(static_cast<unsigned __int128>(power) * root >> kDigits);
  }
}

}  // namespace

const WaveTables& wave_tables() {
  static const WaveTables tables = [] {
    WaveTables t;
    // cos and sin of 2 pi / 2^10 and 2 pi / 2^20, and 2^(1 / 2^10) and 2^(1 / 2^20), times 2^62.
    fill_rotations(t.coarse, 0x3fffb10b1d15249b, 0x6487c3f99c01c4);
    fill_rotations(t.fine, 0x3ffffffffb10b0ce, 0x1921fb544388);
    fill_powers(t.coarse_power, 0x400b18178ba33b14);
    fill_powers(t.fine_power, 0x400002c5c86f3f26);
    return t;
  }();
  return tables;
}

}  // namespace cryptensor::correlation
