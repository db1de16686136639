// SPDX-License-Identifier: MIT
// The passes over harmonics and octaves, written as plain loops over blocks: the compiler turns
// them into those of the instruction set.

constexpr int64_t kHalf = int64_t{1} << (kWaveBits - 1);
constexpr int64_t kOne = int64_t{1} << kWaveBits;

struct Wave {
  alignas(64) int64_t cosine[kBlock], sine[kBlock];
};

// The rotation by `turn` / 2^32 of a full turn; the last 12 bits to first order.
inline void rotations(const uint32_t* turn, size_t n, Wave& out) {
  const WaveTables& tables = wave_tables();
  constexpr int64_t kTwoPi = 6434;  // times 2^10
  for (size_t i = 0; i < n; ++i) {
    const Rotation a = tables.coarse[turn[i] >> 22], b = tables.fine[turn[i] >> 12 & 1023];
    const int64_t rest = static_cast<int64_t>(turn[i] & 4095) * kTwoPi;
    const int64_t c =
        (int64_t{a.cosine} * b.cosine - int64_t{a.sine} * b.sine + kHalf) >> kWaveBits;
    const int64_t s =
        (int64_t{a.cosine} * b.sine + int64_t{a.sine} * b.cosine + kHalf) >> kWaveBits;
    out.cosine[i] = c - (s * rest >> 42);
    out.sine[i] = s + (c * rest >> 42);
  }
}

// Turns the wave on by `step`.
inline void turn_on(Wave& wave, const Wave& step, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const int64_t c = wave.cosine[i], s = wave.sine[i];
    wave.cosine[i] = (c * step.cosine[i] - s * step.sine[i] + kHalf) >> kWaveBits;
    wave.sine[i] = (c * step.sine[i] + s * step.cosine[i] + kHalf) >> kWaveBits;
  }
}

// The waves of the first harmonic and of the step from one to the next.
inline void start_waves(const Harmonics& shape, const uint64_t* x, size_t n, Wave& first,
                        Wave& step) {
  alignas(64) uint32_t turn[kBlock];
  const int up = 64 - shape.period_bits;
  for (size_t i = 0; i < n; ++i) turn[i] = static_cast<uint32_t>(x[i] << up >> 32);
  rotations(turn, n, first);
  if (!shape.odd) {
    step = first;
    return;
  }
  for (size_t i = 0; i < n; ++i) turn[i] *= 2;
  rotations(turn, n, step);
}

// Mantissas of 2^(fraction / 2^32), kWaveBits fraction bits, in [1, 2).
inline int64_t mantissa(uint32_t fraction) {
  const WaveTables& tables = wave_tables();
  constexpr int64_t kLn2 = 2839;  // times 2^12
  const int64_t whole = static_cast<int64_t>(tables.coarse_power[fraction >> 22]) *
                            tables.fine_power[fraction >> 12 & 1023] >>
                        kWaveBits;
  return whole + (whole * (fraction & 4095) * kLn2 >> 44);
}

const uint64_t* field_of(const CharactersShare& share, int index, size_t block, size_t n,
                         uint64_t* scratch) {
  if (share.corrections != nullptr) {
    return reinterpret_cast<const uint64_t*>(share.corrections +
                                             share.layout->field_bytes() * index) +
           kBlock * block;
  }
  share.prg->fill(static_cast<uint64_t>(CharacterStream::values) + index, 64 * block, scratch,
                  8 * n);
  return scratch;
}

// sum += what cosine a and sine b of the harmonic contribute: (a C + b S) [cos] + (a S - b C)
// [sin], with C and S of the opened value and shares of cos and sin of the mask.
inline void add_harmonic(const Wave& wave, int64_t a, int64_t b, const uint64_t* cosine,
                         const uint64_t* sine, size_t n, uint64_t* sum) {
  const auto term = [&](int64_t of_cosine, int64_t of_sine, size_t i) {
    sum[i] += static_cast<uint64_t>((of_cosine + kHalf) >> kWaveBits) * cosine[i] +
              static_cast<uint64_t>((of_sine + kHalf) >> kWaveBits) * sine[i];
  };
  if (b == 0) {
    for (size_t i = 0; i < n; ++i) term(a * wave.cosine[i], a * wave.sine[i], i);
  } else if (a == 0) {
    for (size_t i = 0; i < n; ++i) term(b * wave.sine[i], -b * wave.cosine[i], i);
  } else {
    for (size_t i = 0; i < n; ++i) {
      const int64_t c = wave.cosine[i], s = wave.sine[i];
      term(a * c + b * s, a * s - b * c, i);
    }
  }
}

void harmonics(const CharactersShare& share, const Harmonics& shape, const uint64_t* opened,
               const std::vector<HarmonicForm>& forms) {
  const CharactersLayout& layout = *share.layout;
  alignas(64) uint64_t cosine_scratch[kBlock], sine_scratch[kBlock];
  Wave wave, step;
  std::vector<uint64_t> sums(forms.size() * kBlock);
  for (size_t block = 0; block < layout.blocks(); ++block) {
    const size_t n = layout.count_in_block(block);
    start_waves(shape, opened + kBlock * block, n, wave, step);
    for (size_t o = 0; o < forms.size(); ++o) {
      const uint64_t constant =
          share.adds_constants ? static_cast<uint64_t>(forms[o].constant) : 0;
      for (size_t i = 0; i < n; ++i) sums[kBlock * o + i] = constant;
    }
    for (int h = 0; h < shape.count; ++h) {
      if (h > 0) turn_on(wave, step, n);
      const uint64_t* cosine = field_of(share, 2 * h, block, n, cosine_scratch);
      const uint64_t* sine = field_of(share, 2 * h + 1, block, n, sine_scratch);
      for (size_t o = 0; o < forms.size(); ++o) {
        add_harmonic(wave, forms[o].cosines[h], forms[o].sines[h], cosine, sine, n,
                     sums.data() + kBlock * o);
      }
    }
    const size_t left = layout.n - kBlock * block;
    for (size_t o = 0; o < forms.size(); ++o) {
      std::copy_n(sums.data() + kBlock * o, std::min(n, left), forms[o].out + kBlock * block);
    }
  }
}

// Rounded value * 2^shift for value < 2^32; what would leave the ring is of no entry in use.
inline uint64_t shifted(uint64_t value, int shift) {
  const uint64_t up = value << (shift > 0 ? shift & 63 : 0);
  const int down = shift < 0 ? (shift > -40 ? -shift : 40) : 0;
  return (up + (uint64_t{1} << down >> 1)) >> down;
}

void octaves(const CharactersShare& share, const Octaves& shape, const uint64_t* opened,
             const OctaveForm& form) {
  const CharactersLayout& layout = *share.layout;
  const int entries = shape.fields(), step = shape.step();
  const uint64_t low_mask = (uint64_t{1} << shape.low_bits) - 1;
  alignas(64) uint64_t scratch[kBlock], low[kBlock], high[kBlock], factor[kBlock];
  alignas(64) int32_t whole[kBlock], index[kBlock];
  for (size_t block = 0; block < layout.blocks(); ++block) {
    const size_t n = layout.count_in_block(block);
    const uint64_t* c = opened + kBlock * block;
    for (size_t i = 0; i < n; ++i) {
      const uint64_t rest = c[i] & low_mask;
      whole[i] = static_cast<int32_t>(rest >> shape.fraction_bits);
      factor[i] = mantissa(
          static_cast<uint32_t>(rest << (64 - shape.fraction_bits) >> 32));
      index[i] = static_cast<int32_t>(c[i] >> shape.low_bits & (entries - 1));
      low[i] = high[i] = 0;
    }
    for (int m = 0; m < entries; ++m) {
      const uint64_t* entry = field_of(share, m, block, n, scratch);
      for (size_t i = 0; i < n; ++i) {
        // The index of x is that of c less m, counted from `lowest`.
        const int j = ((index[i] - m - form.lowest) & (entries - 1)) + form.lowest;
        const bool is_high = j >= form.split;
        const int scale = (is_high ? form.high_bits : form.low_bits) - shape.scale - kWaveBits;
        const uint64_t part = shifted(factor[i], step * j + whole[i] + scale) * entry[i];
        low[i] += is_high ? 0 : part;
        high[i] += is_high ? part : 0;
      }
    }
    const size_t count = std::min(n, layout.n - kBlock * block);
    std::copy_n(low, count, form.low + kBlock * block);
    if (form.high != nullptr) std::copy_n(high, count, form.high + kBlock * block);
  }
}

// The value of the mask.
void expand_mask(const crypto::Prg* const* prgs, int parties, size_t block, size_t n,
                 uint64_t* out, uint64_t* scratch) {
  const auto stream = static_cast<uint64_t>(CharacterStream::mask);
  prgs[0]->fill(stream, 64 * block, out, 8 * n);
  for (int p = 1; p < parties; ++p) {
    prgs[p]->fill(stream, 64 * block, scratch, 8 * n);
    for (size_t i = 0; i < n; ++i) out[i] += scratch[i];
  }
}

// value -= what the parties before the last expand for the field.
void subtract_others(const crypto::Prg* const* prgs, int parties, int index, size_t block, size_t n,
                     uint64_t* value, uint64_t* scratch) {
  for (int p = 0; p + 1 < parties; ++p) {
    prgs[p]->fill(static_cast<uint64_t>(CharacterStream::values) + index, 64 * block, scratch,
                  8 * n);
    for (size_t i = 0; i < n; ++i) value[i] -= scratch[i];
  }
}

void deal_harmonics(const CharactersLayout& layout, const Harmonics& shape,
                    const crypto::Prg* const* prgs, int parties, uint8_t* corrections) {
  alignas(64) uint64_t r[kBlock], scratch[kBlock];
  Wave wave, step;
  auto* out = reinterpret_cast<uint64_t*>(corrections);
  for (size_t block = 0; block < layout.blocks(); ++block) {
    const size_t n = layout.count_in_block(block);
    expand_mask(prgs, parties, block, n, r, scratch);
    start_waves(shape, r, n, wave, step);
    for (int h = 0; h < shape.count; ++h) {
      if (h > 0) turn_on(wave, step, n);
      for (int half = 0; half < 2; ++half) {
        const int64_t* values = half == 0 ? wave.cosine : wave.sine;
        uint64_t* field = out + layout.padded * (2 * h + half) + kBlock * block;
        for (size_t i = 0; i < n; ++i) field[i] = static_cast<uint64_t>(values[i]);
        subtract_others(prgs, parties, 2 * h + half, block, n, field, scratch);
      }
    }
  }
}

void deal_octaves(const CharactersLayout& layout, const Octaves& shape,
                  const crypto::Prg* const* prgs, int parties, uint8_t* corrections) {
  const int entries = shape.fields();
  const uint64_t low_end = uint64_t{1} << shape.low_bits;
  alignas(64) uint64_t r[kBlock], scratch[kBlock], value[kBlock];
  alignas(64) int32_t index[kBlock];
  auto* out = reinterpret_cast<uint64_t*>(corrections);
  for (size_t block = 0; block < layout.blocks(); ++block) {
    const size_t n = layout.count_in_block(block);
    expand_mask(prgs, parties, block, n, r, scratch);
    for (size_t i = 0; i < n; ++i) {
      // 2^-low = 2^(step - low) / 2^step, with an exponent that is not negative.
      const uint64_t rest = low_end - (r[i] & (low_end - 1));
      const int whole = static_cast<int>(rest >> shape.fraction_bits) - shape.step();
      const auto fraction = static_cast<uint32_t>(rest << (64 - shape.fraction_bits) >> 32);
      value[i] = shifted(mantissa(fraction), whole + shape.scale - kWaveBits);
      index[i] = static_cast<int32_t>(r[i] >> shape.low_bits & (entries - 1));
    }
    for (int m = 0; m < entries; ++m) {
      uint64_t* field = out + layout.padded * m + kBlock * block;
      for (size_t i = 0; i < n; ++i) field[i] = index[i] == m ? value[i] : 0;
      subtract_others(prgs, parties, m, block, n, field, scratch);
    }
  }
}

const CharactersKernels kKernels{harmonics, octaves, deal_harmonics, deal_octaves};
