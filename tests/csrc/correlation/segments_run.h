// SPDX-License-Identifier: MIT
// A whole comparison with many thresholds, from the dealer to the parties' results.
#pragma once

#include "correlation/cpu/segments_kernels.h"
#include "parties_run.h"

namespace cryptensor::correlation::testing_run {

struct Pieces {
  std::vector<uint64_t> thresholds;
  int degree = 0;
  struct Form {
    Words base, steps;
  };
  std::vector<Form> forms;

  // Coefficients at random, so that no two pieces or powers can stand for each other.
  static Pieces random(std::vector<uint64_t> thresholds, int degree, uint64_t seed, int forms = 2) {
    std::mt19937_64 random(seed);
    Pieces out{std::move(thresholds), degree, {}};
    for (int f = 0; f < forms; ++f) {
      Form form{Words(degree + 1), Words(out.thresholds.size() * (degree + 1))};
      for (auto* list : {&form.base, &form.steps}) {
        for (uint64_t& c : *list) c = random() | 1;
      }
      out.forms.push_back(form);
    }
    return out;
  }

  uint64_t value(size_t form, uint64_t x) const {
    const auto polynomial = [&](const uint64_t* coefficients) {
      uint64_t y = 0;
      for (int i = degree; i >= 0; --i) y = y * x + coefficients[i];
      return y;
    };
    uint64_t y = polynomial(forms[form].base.data());
    for (size_t j = 0; j < thresholds.size(); ++j) {
      if (static_cast<int64_t>(x - thresholds[j]) < 0) continue;
      y += polynomial(forms[form].steps.data() + j * (degree + 1));
    }
    return y;
  }
};

struct SegmentsTranscript {
  std::vector<uint8_t> corrections;
  std::vector<Words> messages;
  std::vector<Words> shares;   // party by party, form by form
  std::vector<Words> results;  // form by form
  bool operator==(const SegmentsTranscript&) const = default;
};

inline SegmentsTranscript evaluate(const SegmentsKernels& kernels, Isa isa, const Dealing& run,
                                   const Pieces& pieces, const Words& x) {
  const SegmentsLayout layout(x.size(), pieces.thresholds, pieces.degree);
  Parties parties(run, isa);
  parties.deal(layout.correction_bytes,
               [&](const crypto::Prg* const* prgs, Part part, uint8_t* out) {
                 kernels.deal(layout, prgs, parties.count(), part, parties.secret(), out);
               });
  const std::vector<Words> shares = parties.shares_of(x);
  struct Party {
    SegmentsShare share;
    Buffer opened, hidden, borrows, top;
    SegmentsState state;
  };
  std::vector<Party> all;
  const size_t k = layout.count(), w = layout.words;
  for (int p = 0; p < parties.count(); ++p) {
    Party party{{&layout, &parties.prg_of(p), parties.corrections_of(p), parties.part(p), p == 0},
                unset(layout.padded),
                unset(w * std::max(layout.nodes.size(), k)),
                unset(w * 3 * k),
                unset(w * k),
                {}};
    party.state = {party.opened.as<uint64_t>(), party.hidden.as<uint64_t>(),
                   party.borrows.as<uint64_t>(), party.top.as<uint64_t>()};
    all.push_back(std::move(party));
  }
  const auto pass = [&](auto kernel) {
    return [&, kernel](int p, const uint64_t* own, const uint64_t* others, uint64_t* to) {
      kernel(all[p].share, all[p].state, own, others, to);
    };
  };
  parties.round(layout.n, [&](int p, const uint64_t*, const uint64_t*, uint64_t* to) {
    kernels.mask(all[p].share, shares[p].data(), to);
  });
  parties.round(w * layout.opened1, pass(kernels.pick));
  parties.round(w * layout.opened2, pass(kernels.combine));
  parties.round(w * k, pass(kernels.finish));

  SegmentsTranscript out;
  out.results.assign(pieces.forms.size(), Words(layout.n));
  for (int p = 0; p < parties.count(); ++p) {
    std::vector<Words> values(pieces.forms.size(), Words(layout.n));
    std::vector<SegmentsForm> forms;
    for (size_t f = 0; f < values.size(); ++f) {
      forms.push_back({pieces.forms[f].base, pieces.forms[f].steps, values[f].data()});
    }
    kernels.evaluate(all[p].share, all[p].state, parties.own(p), parties.others(p).data(),
                     shares[p].data(), forms);
    for (size_t f = 0; f < values.size(); ++f) {
      add_to(out.results[f], values[f]);
      out.shares.push_back(std::move(values[f]));
    }
  }
  out.messages = std::move(parties.messages);
  const uint8_t* dealt = parties.corrections_of(parties.count() - 1);
  out.corrections.assign(dealt, dealt + layout.correction_bytes);
  return out;
}

inline size_t count_wrong(const SegmentsTranscript& t, const Pieces& pieces, const Words& x) {
  size_t wrong = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    bool right = true;
    for (size_t f = 0; f < pieces.forms.size(); ++f) {
      right &= t.results[f][i] == pieces.value(f, x[i]);
    }
    wrong += !right;
  }
  return wrong;
}

}  // namespace cryptensor::correlation::testing_run
