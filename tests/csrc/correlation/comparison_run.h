// SPDX-License-Identifier: MIT
// A whole comparison in one thread: the dealer, then all parties round by round.
#pragma once

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "core/buffer.h"
#include "correlation/cpu/comparison_kernels.h"
#include "crypto/key.h"

namespace cryptensor::correlation::testing_run {

using Words = std::vector<uint64_t>;

struct Transcript {
  std::vector<uint8_t> corrections;
  std::vector<Words> messages;        // round by round, party by party
  std::vector<Words> results, signs;  // the parties' shares

  Words result() const { return sum(results); }
  Words sign() const { return sum(signs); }
  bool operator==(const Transcript&) const = default;

 private:
  static Words sum(const std::vector<Words>& shares) {
    Words total(shares[0].size());
    for (const Words& s : shares) {
      for (size_t i = 0; i < total.size(); ++i) total[i] += s[i];
    }
    return total;
  }
};

struct Setting {
  Comparison mode;
  int shift = 0;
  int parties = 2;
  uint64_t seed = 1;  // of keys and shares: the same seed gives the same transcript
  // Changes the corrections between the dealer and the last party.
  std::function<void(const ComparisonLayout&, uint8_t*)> tamper = {};
};

inline Buffer buffer_of(size_t words) {
  Buffer out(8 * words);
  std::fill_n(out.as<uint64_t>(), words, 0xDEADBEEFDEADBEEF);
  return out;
}

inline Transcript compare(const ComparisonKernels& kernels, Isa isa, const Setting& setting,
                          const Words& x) {
  const ComparisonLayout layout(x.size(), setting.mode, setting.shift);
  std::mt19937_64 random(setting.seed);
  const auto prg = [&] {
    crypto::Key key;
    for (auto& byte : key.bytes) byte = static_cast<uint8_t>(random());
    return crypto::Prg(key, isa);
  };
  std::vector<crypto::Prg> prgs;
  for (int p = 0; p < setting.parties; ++p) prgs.push_back(prg());
  const crypto::Prg secret = prg();
  std::vector<const crypto::Prg*> pointers;
  for (const auto& p : prgs) pointers.push_back(&p);

  Transcript out;
  Buffer corrections(layout.correction_bytes);
  kernels.deal(layout, pointers.data(), setting.parties, {}, secret, corrections.data());
  if (setting.tamper) setting.tamper(layout, corrections.data());
  out.corrections.assign(corrections.data(), corrections.data() + layout.correction_bytes);

  std::vector<Words> shares(setting.parties, x);
  for (int p = 1; p < setting.parties; ++p) {
    for (size_t i = 0; i < x.size(); ++i) shares[0][i] -= shares[p][i] = random();
  }
  struct Party {
    ComparisonShare share;
    Buffer opened, hidden, top;
    ComparisonState state;
  };
  std::vector<Party> parties;
  for (int p = 0; p < setting.parties; ++p) {
    const uint8_t* corrected = p == setting.parties - 1 ? corrections.data() : nullptr;
    Party party{{&layout, &prgs[p], corrected, {}, p == 0},
                buffer_of(layout.padded),
                buffer_of(layout.words * (layout.chunks / 4)),
                buffer_of(layout.words),
                {}};
    party.state = {party.opened.as<uint64_t>(), party.hidden.as<uint64_t>(),
                   party.top.as<uint64_t>()};
    parties.push_back(std::move(party));
  }

  std::vector<Buffer> sent;
  // What party p receives of the round under way: the others' messages, combined.
  const auto others = [&](int p, size_t words, bool add) {
    Buffer total(8 * words);
    total.zero();
    for (int q = 0; q < setting.parties; ++q) {
      if (q == p) continue;
      for (size_t i = 0; i < words; ++i) {
        uint64_t& t = total.as<uint64_t>()[i];
        const uint64_t m = sent[q].as<uint64_t>()[i];
        t = add ? t + m : t ^ m;
      }
    }
    return total;
  };
  // One step of all parties: step(party, own last message, others' last messages, new message).
  const auto round = [&](size_t before, bool add, size_t words, const auto& step) {
    std::vector<Buffer> next;
    for (int p = 0; p < setting.parties; ++p) {
      const Buffer received = sent.empty() ? Buffer() : others(p, before, add);
      next.push_back(buffer_of(words));
      step(p, sent.empty() ? nullptr : sent[p].as<uint64_t>(), received.as<uint64_t>(),
           next.back().as<uint64_t>());
      out.messages.emplace_back(next.back().as<uint64_t>(), next.back().as<uint64_t>() + words);
    }
    sent = std::move(next);
  };
  const auto mask = [&](int p, const uint64_t*, const uint64_t*, uint64_t* to) {
    kernels.mask(parties[p].share, shares[p].data(), to);
  };
  const auto pass = [&](auto kernel) {
    return [&, kernel](int p, const uint64_t* own, const uint64_t* theirs, uint64_t* to) {
      kernel(parties[p].share, parties[p].state, own, theirs, to);
    };
  };
  const size_t n = layout.n, level1 = layout.words * layout.opened1;
  const size_t level2 = layout.words * layout.opened2;
  round(0, false, n, mask);
  round(n, true, level1, pass(kernels.pick));
  round(level1, false, level2 > 0 ? level2 : layout.words, pass(kernels.combine));
  if (level2 > 0) round(level2, false, layout.words, pass(kernels.finish));
  for (int p = 0; p < setting.parties; ++p) {
    const Buffer theirs = others(p, layout.words, false);
    Words result(n), sign(n), alone(n);
    const Party& party = parties[p];
    kernels.select(party.share, party.state, sent[p].as<uint64_t>(), theirs.as<uint64_t>(),
                   result.data(), sign.data());
    kernels.select(party.share, party.state, sent[p].as<uint64_t>(), theirs.as<uint64_t>(),
                   alone.data(), nullptr);
    if (alone != result) result.clear();  // the bits are an extra: they change nothing
    out.results.push_back(std::move(result));
    out.signs.push_back(std::move(sign));
  }
  return out;
}

}  // namespace cryptensor::correlation::testing_run
