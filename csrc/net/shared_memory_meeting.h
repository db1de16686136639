// SPDX-License-Identifier: MIT
// How the processes of one host come to share memory: each pair has a Unix socket, over which one
// of them passes the memory, and which tells each of them when the other has ended.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "net/channel.h"
#include "net/shared_memory_ring.h"

namespace cryptensor::net {

// Of one pair of ranks: a ring each way for each lane. Nobody else has it.
struct PairMemory {
  std::array<RingMemory, kLaneCount> upwards;  // from the lower to the higher rank
  std::array<RingMemory, kLaneCount> downwards;
};

// Closed with the object.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

// One peer. Its entries are empty for the rank itself.
struct SharedLink {
  Descriptor socket;
  // Tells of the end of the peer even where a child of it has inherited the socket; may be empty.
  Descriptor process;
  std::shared_ptr<PairMemory> memory;
};

struct LocalMeeting {
  int rank = 0;
  int listener = -1;               // a listening Unix socket of packets, closed in the end
  std::vector<std::string> names;  // by rank: where it listens, in the abstract namespace
  std::chrono::milliseconds timeout{10000};
};

// Only processes of this user are let in. SetupError names the rank that did not come in time.
std::vector<SharedLink> meet_locally(const LocalMeeting& meeting);

}  // namespace cryptensor::net
