// SPDX-License-Identifier: MIT
// The parties of one protocol in one thread: keys, shares of the input, messages round by round.
#pragma once

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "core/buffer.h"
#include "correlation/comparison_layout.h"
#include "crypto/key.h"
#include "crypto/prg.h"

namespace cryptensor::correlation::testing_run {

using Words = std::vector<uint64_t>;

inline Buffer unset(size_t words) {
  Buffer out(8 * words);
  std::fill_n(out.as<uint64_t>(), words, 0xDEADBEEFDEADBEEF);
  return out;
}

inline void add_to(Words& total, const Words& term) {
  for (size_t i = 0; i < total.size(); ++i) total[i] += term[i];
}

struct Dealing {
  int parties = 2;
  uint64_t seed = 1;    // of keys and shares: the same seed gives the same transcript
  bool spread = false;  // every party deals and corrects a part of the blocks
  // Changes the corrections on their way to the last party.
  std::function<void(uint8_t*)> tamper = {};
};

class Parties {
 public:
  Parties(const Dealing& run, Isa isa) : run_(run), random_(run.seed) {
    for (int p = 0; p < run.parties; ++p) prgs_.push_back(prg(isa));
    secret_.push_back(prg(isa));
  }

  int count() const { return run_.parties; }
  const crypto::Prg& prg_of(int party) const { return prgs_[party]; }
  const crypto::Prg& secret() const { return secret_[0]; }

  std::vector<Words> shares_of(const Words& x) {
    std::vector<Words> out(count(), x);
    for (int p = 1; p < count(); ++p) {
      for (size_t i = 0; i < x.size(); ++i) out[0][i] -= out[p][i] = random_();
    }
    return out;
  }

  // The mask under which n elements are opened.
  Words mask(uint64_t stream, size_t n) const {
    Words sum(n), share(n + 8);
    for (const auto& prg : prgs_) {
      prg.fill(stream, 0, share.data(), 8 * n);
      add_to(sum, share);
    }
    return sum;
  }

  // deal(prgs, the corrected party last; part; where to) for each party that deals.
  template <class Deal>
  void deal(size_t bytes, const Deal& deal) {
    for (int p = run_.spread ? 0 : count() - 1; p < count(); ++p) {
      std::vector<const crypto::Prg*> pointers;
      for (const auto& prg : prgs_) pointers.push_back(&prg);
      std::swap(pointers[p], pointers.back());
      Buffer out(bytes);
      std::fill_n(out.data(), bytes, 0xA5);
      deal(pointers.data(), part(p), out.data());
      if (run_.tamper && p == count() - 1) run_.tamper(out.data());
      corrections_.push_back(std::move(out));
    }
  }
  const uint8_t* corrections_of(int party) const {
    if (run_.spread) return corrections_[party].data();
    return party == count() - 1 ? corrections_[0].data() : nullptr;
  }
  Part part(int party) const {
    return run_.spread ? Part{static_cast<size_t>(party), static_cast<size_t>(count())} : Part{};
  }

  // step(party, its own last message, the others' combined, its new message of so many words).
  template <class Step>
  void round(size_t words, const Step& step) {
    std::vector<Buffer> next;
    for (int p = 0; p < count(); ++p) {
      next.push_back(unset(words));
      step(p, own(p), others(p).data(), next.back().as<uint64_t>());
      messages.emplace_back(next.back().as<uint64_t>(), next.back().as<uint64_t>() + words);
    }
    sent_ = std::move(next);
    sent_words_ = words;
    adds_ = messages.size() == static_cast<size_t>(count());  // only the first opens elements
  }
  const uint64_t* own(int party) const {
    return sent_.empty() ? nullptr : sent_[party].as<uint64_t>();
  }
  Words others(int party) const {
    Words total(sent_words_ + 8);
    for (int q = 0; q < count() && !sent_.empty(); ++q) {
      if (q == party) continue;
      for (size_t i = 0; i < sent_words_; ++i) {
        const uint64_t m = sent_[q].as<uint64_t>()[i];
        total[i] = adds_ ? total[i] + m : total[i] ^ m;
      }
    }
    return total;
  }

  std::vector<Words> messages;  // round by round, party by party

 private:
  crypto::Prg prg(Isa isa) {
    crypto::Key key;
    for (auto& byte : key.bytes) byte = static_cast<uint8_t>(random_());
    return crypto::Prg(key, isa);
  }

  Dealing run_;
  std::mt19937_64 random_;
  std::vector<crypto::Prg> prgs_, secret_;
  std::vector<Buffer> corrections_;
  std::vector<Buffer> sent_;
  size_t sent_words_ = 0;
  bool adds_ = true;
};

// Opened bits of equal secrets are fair coins: a bit plane that is not masked would be constant.
// Every 64 words of a message hold 4096 bits of it; 7 standard deviations are 224.
template <class Report>
void each_biased_plane(const std::vector<Words>& messages, int parties, const Report& report) {
  for (size_t round = 0; round < messages.size() / parties; ++round) {
    for (size_t at = 0; at + 64 <= messages[round * parties].size(); at += 64) {
      int ones = 0;
      for (size_t i = at; i < at + 64; ++i) {
        uint64_t opened = 0;
        for (int p = 0; p < parties; ++p) {
          const uint64_t m = messages[round * parties + p][i];
          opened = round == 0 ? opened + m : opened ^ m;
        }
        ones += __builtin_popcountll(opened);
      }
      if (std::abs(ones - 2048) > 224) report(round, at);
    }
  }
}

}  // namespace cryptensor::correlation::testing_run
