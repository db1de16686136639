// SPDX-License-Identifier: MIT
#include "correlation/lots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "core/errors.h"

namespace cryptensor::correlation {

using net::DType;
using net::Message;
using net::Operation;

struct Lots::Introduction {
  uint64_t usable;
  uint64_t lots, steps;
  StoreId id;
  crypto::Digest plan;
};

struct Lots::Word {
  enum Answer : uint64_t { claimed = 0, used = 1, none_left = 2, failed = 3 };
  uint64_t answer;
  uint64_t lot;  // claimed; or, with `used`, the next one that is free here
};

template <class T>
std::unique_ptr<net::Receive> Lots::expect(int party) {
  return channel_.receive(party, net::kPartyLane, Operation::announce, DType::bytes, sizeof(T));
}

template <class T>
void Lots::tell(int party, const T& what) {
  static_assert(std::has_unique_object_representations_v<T>);
  Message message(sizeof what);
  std::memcpy(message.data(), &what, sizeof what);
  channel_.send(party, net::kPartyLane, Operation::announce, DType::bytes, std::move(message));
}

template <class T>
T Lots::hear(net::Receive& receive) const {
  const Message message = receive.wait();
  T out;
  std::memcpy(&out, message.data(), sizeof out);
  return out;
}

void Lots::refuse(const std::string& what) {
  channel_.flush();  // whoever refuses leaves, after everybody has heard of it
  throw StoreError(trouble_.empty() ? what : trouble_);
}

Lots::Lots(net::Channel& channel, const std::filesystem::path& path, const PlanSettings& settings)
    : channel_(channel), parties_(settings.parties) {
  try {
    introduce(settings, path);
  } catch (const StoreError& error) {
    trouble_ = error.what();
  }
  Introduction mine{};
  if (trouble_.empty()) {
    mine = {1, shape().lots, shape().steps, store_->id(), plan().digest()};
  }
  std::vector<std::unique_ptr<net::Receive>> receives(parties_);
  const int me = channel_.rank();
  for (int p = 0; p < parties_; ++p) {
    if (p != me) receives[p] = expect<Introduction>(p);
  }
  for (int p = 0; p < parties_; ++p) {
    if (p != me) tell(p, mine);
  }
  std::vector<Introduction> all(parties_, mine);
  for (int p = 0; p < parties_; ++p) {
    if (p != me) all[p] = hear<Introduction>(*receives[p]);
  }
  for (int p = 0; p < parties_; ++p) {
    if (all[p].usable != 1) {
      refuse(fmt::format("party {} cannot use its store of correlations; see the error there", p));
    }
  }
  for (int p = 1; p < parties_; ++p) {
    if (std::memcmp(&all[p], &all[0], sizeof all[p]) != 0) {
      refuse(fmt::format(
          "party {} has a file of another store than party 0: all must be of one `deal`", p));
    }
  }
}

void Lots::introduce(const PlanSettings& settings, const std::filesystem::path& path) {
  const int me = channel_.rank();
  store_ = std::make_unique<StoreFile>(path);
  const auto& theirs = plan().settings();
  const auto require = [&](bool fits, const char* what, int dealt, int wanted) {
    if (fits) return;
    throw StoreError(fmt::format("{} was dealt for {} {}, and the session has {}", path.string(),
                                 what, dealt, wanted));
  };
  require(theirs.parties == settings.parties, "parties", theirs.parties, settings.parties);
  require(store_->party() == me, "party", store_->party(), me);
  require(theirs.precision == settings.precision, "precision", theirs.precision,
          settings.precision);
  require(theirs.checked == settings.checked, "checked", theirs.checked, settings.checked);
  require(theirs.truncation == settings.truncation, "truncation", theirs.truncation,
          settings.truncation);
  store_->check_size();
  claims_.emplace(*store_);
}

std::string Lots::what_is_left() const {
  return fmt::format("{}: {} of {} lots are left, each for {}", store_->file().path().string(),
                     claims_->left(), shape().lots,
                     plan().has_steps() ? fmt::format("{} steps", shape().steps + 1)
                                        : std::string("one run of the program"));
}

// At the parties behind rank 0: its proposal, and whether this party can follow it.
Lots::Word Lots::claim(const Word& proposal, Lot& lot) {
  try {
    lot.number = proposal.lot;
    if (channel_.rank() > 0 && !claims_->claim(proposal.lot)) {
      const auto free = claims_->next(proposal.lot);
      return free ? Word{Word::used, *free} : Word{Word::none_left, 0};
    }
    lot.key = store_->key_of(lot.number);
    if (!store_->has_lots()) return {Word::claimed, lot.number};
    lot.corrections = store_->open(lot.number);
    if (lot.corrections != nullptr) return {Word::claimed, lot.number};
    trouble_ = fmt::format("lot {} of {} is truncated or altered", lot.number, what_is_left());
  } catch (const StoreError& error) {
    trouble_ = error.what();
  }
  return {Word::failed, proposal.lot};
}

Lot Lots::next() {
  const int me = channel_.rank();
  const std::string none_left = fmt::format(
      "the store is used up, and one lot more is needed ({}); deal another store", what_is_left());
  Lot lot;
  for (uint64_t from = 0;;) {
    // Rank 0 proposes what it has claimed.
    Word proposal{};
    if (me == 0) {
      try {
        const auto number = claims_->claim_next(from);
        proposal = number ? Word{Word::claimed, *number} : Word{Word::none_left, 0};
      } catch (const StoreError& error) {
        trouble_ = error.what();
        proposal = {Word::failed, 0};
      }
    }
    std::vector<std::unique_ptr<net::Receive>> receives(parties_);
    if (me > 0) receives[0] = expect<Word>(0);
    for (int p = 1; p < parties_; ++p) {
      if (p != me) receives[p] = expect<Word>(p);
    }
    for (int p = 1; p < parties_ && me == 0; ++p) tell(p, proposal);
    if (me > 0) proposal = hear<Word>(*receives[0]);

    // All others say whether they can follow. Rank 0 has no corrections to check.
    std::vector<Word> all(parties_, proposal);
    if (me > 0) {
      all[me] = proposal.answer == Word::claimed ? claim(proposal, lot) : proposal;
      for (int p = 0; p < parties_; ++p) {
        if (p != me) tell(p, all[me]);
      }
    }
    for (int p = 1; p < parties_; ++p) {
      if (p != me) all[p] = hear<Word>(*receives[p]);
    }
    if (me == 0 && proposal.answer == Word::claimed) claim(proposal, lot);

    bool agreed = true;
    for (int p = 0; p < parties_; ++p) {
      if (all[p].answer == Word::none_left) refuse(none_left);
      if (all[p].answer > Word::none_left) {
        refuse(fmt::format("party {} cannot use lot {} of its store; see the error there", p,
                           proposal.lot));
      }
      if (all[p].answer == Word::used) {
        agreed = false;
        from = std::max(from, all[p].lot);
      }
    }
    if (agreed) return lot;
  }
}

}  // namespace cryptensor::correlation
