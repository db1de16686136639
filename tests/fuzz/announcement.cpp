// SPDX-License-Identifier: MIT
#include "protocol/additive/announcement.h"

#include <algorithm>

#include "fuzz/targets.h"

namespace cryptensor::fuzz {

void announcement(Input input) {
  using protocol::additive::Announcement;
  Announcement theirs;
  try {
    theirs = Announcement::parse(input);
  } catch (const ProtocolError&) {
    return;
  }
  require(std::ranges::equal(theirs.serialize(), input), "accepted bytes say something else");
  Announcement mine;
  mine.src = theirs.src;
  for (size_t i = 0; i < theirs.entries.size(); ++i) mine.add_unknown();
  try {
    protocol::additive::check_agreement({mine, theirs}, 0);
  } catch (const Error&) {
    return;
  }
  require(theirs.entries.empty() || theirs.src == 1, "an input without its owner is accepted");
}

}  // namespace cryptensor::fuzz
