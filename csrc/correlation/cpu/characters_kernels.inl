// SPDX-License-Identifier: MIT
// The passes over harmonics and octaves, written once. The including file provides, for its
// instruction set, gather(table, indices) and the planes.

constexpr int64_t kHalf = int64_t{1} << (kWaveBits - 1);

// Eight numbers with sign.
typedef int64_t Signed __attribute__((vector_size(64)));

CT_INLINE Signed load_signed(const int64_t* from) {
  Signed out;
  __builtin_memcpy(&out, from, 64);
  return out;
}
CT_INLINE void store_signed(int64_t* to, const Signed& value) { __builtin_memcpy(to, &value, 64); }

struct Wave {
  Signed cosine, sine;
};

// The rotation by a then b.
CT_INLINE Wave turned(const Wave& a, const Wave& b) {
  return {(a.cosine * b.cosine - a.sine * b.sine + kHalf) >> kWaveBits,
          (a.cosine * b.sine + a.sine * b.cosine + kHalf) >> kWaveBits};
}

CT_INLINE Wave unpacked(const Plane& entry) {
  const Signed both = reinterpret_cast<const Signed&>(entry);
  return {(both << 32) >> 32, both >> 32};
}

// The rotation by `turn` / 2^32 of a full turn; the last 12 bits to first order.
CT_INLINE Wave rotation(const WaveTables& tables, const Plane& turn) {
  constexpr int64_t kTwoPi = 6434;  // times 2^10
  const Wave w = turned(unpacked(gather(tables.coarse.data(), turn >> 22)),
                        unpacked(gather(tables.fine.data(), turn >> 12 & 1023)));
  const Plane low = turn & 4095;
  const Signed rest = reinterpret_cast<const Signed&>(low) * kTwoPi;
  return {w.cosine - (w.sine * rest >> 42), w.sine + (w.cosine * rest >> 42)};
}

// Mantissas of 2^(fraction / 2^32), kWaveBits fraction bits, in [1, 2).
CT_INLINE Plane mantissa(const WaveTables& tables, const Plane& fraction) {
  constexpr uint64_t kLn2 = 2839;  // times 2^12
  const Plane whole = gather(tables.coarse_power.data(), fraction >> 22) *
                          gather(tables.fine_power.data(), fraction >> 12 & 1023) >>
                      kWaveBits;
  return whole + (whole * (fraction & 4095) * kLn2 >> 44);
}

// value * 2^shift, rounded, for value < 2^32. What would leave the ring is of no entry in use.
CT_INLINE Plane shifted(const Plane& value, const Signed& shift) {
  const Signed up = shift > 0 ? shift : Signed{};
  const Signed less = shift < 0 ? -shift : Signed{};
  const Signed down = less < 40 ? less : Signed{} + 40;
  const Plane raised = value << reinterpret_cast<const Plane&>(up);
  const Plane right = reinterpret_cast<const Plane&>(down);
  return (raised + ((Plane{} + 1) << right >> 1)) >> right;
}

// The harmonics of a block, one after the other.
class Harmonic {
 public:
  Harmonic(const Harmonics& shape, const uint64_t* x, size_t n) : n_(n) {
    const WaveTables& tables = wave_tables();
    const int up = 64 - shape.period_bits;
    for (size_t i = 0; i < n; i += 8) {
      const Wave first = rotation(tables, load(x + i, 8) << up >> 32);
      put(cosine, sine, i, first);
      put(step_cosine_, step_sine_, i, shape.odd ? turned(first, first) : first);
    }
  }
  CT_INLINE Wave at(size_t i) const { return {load_signed(cosine + i), load_signed(sine + i)}; }
  CT_INLINE Wave next(size_t i) {
    const Wave wave = turned(at(i), {load_signed(step_cosine_ + i), load_signed(step_sine_ + i)});
    put(cosine, sine, i, wave);
    return wave;
  }
  void advance() {
    for (size_t i = 0; i < n_; i += 8) next(i);
  }

  alignas(64) int64_t cosine[kBlock], sine[kBlock];

 private:
  static CT_INLINE void put(int64_t* c, int64_t* s, size_t i, const Wave& wave) {
    store_signed(c + i, wave.cosine);
    store_signed(s + i, wave.sine);
  }
  size_t n_;
  alignas(64) int64_t step_cosine_[kBlock], step_sine_[kBlock];
};

const uint64_t* field_of(const CharactersShare& share, int index, size_t block, size_t n,
                         uint64_t* scratch) {
  if (share.corrects(block)) {
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
template <bool kCosine, bool kSine>
CT_INLINE void add_harmonic(const Harmonic& wave, int64_t a, int64_t b, const uint64_t* cosine,
                            const uint64_t* sine, size_t n, uint64_t* sum) {
  for (size_t i = 0; i < n; i += 8) {
    const Wave w = wave.at(i);
    Signed x{}, y{};
    if (kCosine) x += a * w.cosine, y += a * w.sine;
    if (kSine) x += b * w.sine, y -= b * w.cosine;
    x = (x + kHalf) >> kWaveBits;
    y = (y + kHalf) >> kWaveBits;
    store(sum + i,
          load(sum + i, 8) + reinterpret_cast<const Plane&>(x) * load(cosine + i, 8) +
              reinterpret_cast<const Plane&>(y) * load(sine + i, 8),
          8);
  }
}

void harmonics(const CharactersShare& share, const Harmonics& shape, const uint64_t* opened,
               const std::vector<HarmonicForm>& forms) {
  const CharactersLayout& layout = *share.layout;
  alignas(64) uint64_t cosine_scratch[kBlock], sine_scratch[kBlock];
  std::vector<uint64_t> sums(forms.size() * kBlock);
  for (size_t block = 0; block < layout.blocks(); ++block) {
    const size_t n = layout.count_in_block(block);
    Harmonic wave(shape, opened + kBlock * block, n);
    for (size_t o = 0; o < forms.size(); ++o) {
      const uint64_t constant = share.adds_constants ? static_cast<uint64_t>(forms[o].constant) : 0;
      std::fill_n(sums.data() + kBlock * o, n, constant);
    }
    for (int h = 0; h < shape.count; ++h) {
      if (h > 0) wave.advance();
      const uint64_t* cosine = field_of(share, 2 * h, block, n, cosine_scratch);
      const uint64_t* sine = field_of(share, 2 * h + 1, block, n, sine_scratch);
      for (size_t o = 0; o < forms.size(); ++o) {
        const int64_t a = forms[o].cosines[h], b = forms[o].sines[h];
        uint64_t* sum = sums.data() + kBlock * o;
        if (b == 0) {
          add_harmonic<true, false>(wave, a, b, cosine, sine, n, sum);
        } else if (a == 0) {
          add_harmonic<false, true>(wave, a, b, cosine, sine, n, sum);
        } else {
          add_harmonic<true, true>(wave, a, b, cosine, sine, n, sum);
        }
      }
    }
    const size_t left = layout.n - kBlock * block;
    for (size_t o = 0; o < forms.size(); ++o) {
      std::copy_n(sums.data() + kBlock * o, std::min(n, left), forms[o].out + kBlock * block);
    }
  }
}

void octaves(const CharactersShare& share, const Octaves& shape, const uint64_t* opened,
             const OctaveForm& form) {
  const CharactersLayout& layout = *share.layout;
  const WaveTables& tables = wave_tables();
  const int64_t entries = shape.fields(), step = shape.step();
  const uint64_t low_mask = (uint64_t{1} << shape.low_bits) - 1;
  const int64_t low_scale = form.low_bits - shape.scale - kWaveBits;
  const int64_t more = form.high_bits - form.low_bits;
  alignas(64) uint64_t scratch[kBlock], low[kBlock], high[kBlock], factor[kBlock];
  alignas(64) int64_t whole[kBlock], index[kBlock];
  for (size_t block = 0; block < layout.blocks(); ++block) {
    const size_t n = layout.count_in_block(block);
    for (size_t i = 0; i < n; i += 8) {
      const Plane c = load(opened + kBlock * block + i, 8);
      const Plane rest = c & low_mask;
      store(factor + i, mantissa(tables, rest << (64 - shape.fraction_bits) >> 32), 8);
      const Plane octave = rest >> shape.fraction_bits, place = c >> shape.low_bits;
      store_signed(whole + i, reinterpret_cast<const Signed&>(octave) + low_scale);
      store_signed(index + i, reinterpret_cast<const Signed&>(place) - form.lowest);
      store(low + i, Plane{}, 8);
      store(high + i, Plane{}, 8);
    }
    for (int64_t m = 0; m < entries; ++m) {
      const uint64_t* entry = field_of(share, static_cast<int>(m), block, n, scratch);
      for (size_t i = 0; i < n; i += 8) {
        // The index of x is that of c less m, counted from `lowest`.
        const Signed j = ((load_signed(index + i) - m) & (entries - 1)) + form.lowest;
        const Signed is_high = j >= form.split;
        const Signed scale = load_signed(whole + i) + step * j + (is_high & more);
        const Plane part = shifted(load(factor + i, 8), scale) * load(entry + i, 8);
        const Plane mask = reinterpret_cast<const Plane&>(is_high);
        store(low + i, load(low + i, 8) + (part & ~mask), 8);
        store(high + i, load(high + i, 8) + (part & mask), 8);
      }
    }
    const size_t count = std::min(n, layout.n - kBlock * block);
    std::copy_n(low, count, form.low + kBlock * block);
    std::copy_n(high, count, form.high + kBlock * block);
  }
}

// The value of the mask.
void expand_mask(const crypto::Prg* const* prgs, int parties, size_t block, size_t n, uint64_t* out,
                 uint64_t* scratch) {
  const auto stream = static_cast<uint64_t>(CharacterStream::mask);
  prgs[0]->fill(stream, 64 * block, out, 8 * n);
  for (int p = 1; p < parties; ++p) {
    prgs[p]->fill(stream, 64 * block, scratch, 8 * n);
    for (size_t i = 0; i < n; ++i) out[i] += scratch[i];
  }
}

// What the last party adds in a field: the value less what the others expand for it.
template <class Value>
CT_INLINE void correct(const crypto::Prg* const* prgs, int parties, int index, size_t block,
                       size_t n, uint64_t* out, uint64_t* scratch, const Value& value) {
  const auto stream = static_cast<uint64_t>(CharacterStream::values) + index;
  prgs[0]->fill(stream, 64 * block, out, 8 * n);
  for (int p = 1; p + 1 < parties; ++p) {
    prgs[p]->fill(stream, 64 * block, scratch, 8 * n);
    for (size_t i = 0; i < n; ++i) out[i] += scratch[i];
  }
  for (size_t i = 0; i < n; i += 8) store(out + i, value(i) - load(out + i, 8), 8);
}

void deal_harmonics(const CharactersLayout& layout, const Harmonics& shape,
                    const crypto::Prg* const* prgs, int parties, Part part, uint8_t* corrections) {
  alignas(64) uint64_t r[kBlock], scratch[kBlock];
  auto* out = reinterpret_cast<uint64_t*>(corrections);
  for (size_t block = part.first; block < layout.blocks(); block += part.step) {
    const size_t n = layout.count_in_block(block);
    expand_mask(prgs, parties, block, n, r, scratch);
    Harmonic wave(shape, r, n);
    for (int h = 0; h < shape.count; ++h) {
      if (h > 0) wave.advance();
      for (int half = 0; half < 2; ++half) {
        const int64_t* values = half == 0 ? wave.cosine : wave.sine;
        const int index = 2 * h + half;
        correct(prgs, parties, index, block, n, out + layout.padded * index + kBlock * block,
                scratch,
                [&](size_t i) { return load(reinterpret_cast<const uint64_t*>(values) + i, 8); });
      }
    }
  }
}

void deal_octaves(const CharactersLayout& layout, const Octaves& shape,
                  const crypto::Prg* const* prgs, int parties, Part part, uint8_t* corrections) {
  const WaveTables& tables = wave_tables();
  const uint64_t entries = shape.fields(), low_end = uint64_t{1} << shape.low_bits;
  alignas(64) uint64_t r[kBlock], scratch[kBlock], value[kBlock], place[kBlock];
  auto* out = reinterpret_cast<uint64_t*>(corrections);
  for (size_t block = part.first; block < layout.blocks(); block += part.step) {
    const size_t n = layout.count_in_block(block);
    expand_mask(prgs, parties, block, n, r, scratch);
    for (size_t i = 0; i < n; i += 8) {
      // 2^-low = 2^(step - low) / 2^step, with an exponent that is not negative.
      const Plane mask = load(r + i, 8), rest = low_end - (mask & (low_end - 1));
      const Plane octave = rest >> shape.fraction_bits;
      const Signed shift =
          reinterpret_cast<const Signed&>(octave) - shape.step() + shape.scale - kWaveBits;
      store(value + i, shifted(mantissa(tables, rest << (64 - shape.fraction_bits) >> 32), shift),
            8);
      store(place + i, mask >> shape.low_bits & (entries - 1), 8);
    }
    for (uint64_t m = 0; m < entries; ++m) {
      correct(prgs, parties, static_cast<int>(m), block, n,
              out + layout.padded * m + kBlock * block, scratch, [&](size_t i) {
                const auto here = load(place + i, 8) == m;
                return reinterpret_cast<const Plane&>(here) & load(value + i, 8);
              });
    }
  }
}

const CharactersKernels kKernels{harmonics, octaves, deal_harmonics, deal_octaves};
