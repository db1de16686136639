// SPDX-License-Identifier: MIT
// What hostile bytes reach. Each function feeds one input to a reader of a peer's bytes; whatever
// it does but refuse by name, or accept what could have been sent, ends the process or throws.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>

namespace cryptensor::fuzz {

using Input = std::span<const uint8_t>;

void announcement(Input input);    // what a party is about to do, with a payload of any length
void dealer_request(Input input);  // a correlation that a party wants; small ones are dealt
void frame(Input input);           // a header and what is behind it
void handshake(Input input);       // the first message of a session
void plan(Input input);            // what a store was dealt for

struct Target {
  const char* name;  // of its folder in corpus/
  void (*run)(Input);
};
inline constexpr std::array<Target, 5> kTargets = {{{"announcement", announcement},
                                                    {"dealer_request", dealer_request},
                                                    {"frame", frame},
                                                    {"handshake", handshake},
                                                    {"plan", plan}}};

inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace cryptensor::fuzz
