// SPDX-License-Identifier: MIT
// Before an input enters, the parties tell each other what they are about to do, so that a bad
// value or a wrong shape at one party is a named error at all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/errors.h"
#include "protocol/additive/links.h"
#include "protocol/engine.h"

namespace cryptensor::protocol::additive {

struct Announcement {
  enum class Status : uint8_t { ok = 0, range, config, shape };

  int32_t src = 0;
  Status status = Status::ok;
  // What went wrong, in words. Only at the party itself: the text may hold a value.
  std::string reason;
  struct Entry {
    std::optional<std::vector<int64_t>> shape;  // none: not known here
    bool integers = false;
  };
  std::vector<Entry> entries;

  void add(const std::vector<int64_t>& sizes, bool integers);  // ShapeError: beyond the limits
  void add_unknown() { entries.emplace_back(); }
  void fail(const Error& error);
  std::vector<uint8_t> serialize() const;
  static Announcement parse(std::span<const uint8_t> bytes);  // ProtocolError
};

constexpr size_t kMaxAnnouncementBytes = size_t{1} << 16;

// One round. Entry i is party i's.
std::vector<Announcement> announce(Links& links, Announcement mine);

// Throws, on every party, what the first party that found something wrong found: RangeError,
// ConfigError or ShapeError; also when src or shapes differ, or the owner's shapes are not known.
void check_agreement(const std::vector<Announcement>& all, int rank);

// Values of party `src`, owned by it; see Engine::input. One round.
std::vector<Secret> enter(Links& links, const std::vector<Input>& inputs, int src, int precision,
                          const std::function<at::Tensor(const Input&)>& encode);

}  // namespace cryptensor::protocol::additive
