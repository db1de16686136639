// SPDX-License-Identifier: MIT
#include "correlation/serving.h"

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "core/errors.h"
#include "correlation/attendance.h"
#include "correlation/dealer.h"
#include "correlation/dealing_memory.h"
#include "correlation/third_party.h"
#include "crypto/mutant.h"

namespace cryptensor::correlation {
namespace {

using net::DType;
using net::Message;
using net::Operation;

// Takes n bytes off the front of a request.
std::span<const uint8_t> take(std::span<const uint8_t>& bytes, size_t n) {
  if (bytes.size() < n) throw ProtocolError("dealer request: cut short");
  const auto out = bytes.first(n);
  bytes = bytes.subspan(n);
  return out;
}

template <class T>
T take_number(std::span<const uint8_t>& bytes) {
  T value;
  std::memcpy(&value, take(bytes, sizeof value).data(), sizeof value);
  return value;
}

// Corrections on their way to the last party, within the memory for them.
class Outbox {
 public:
  Outbox(net::Channel& channel, int client, size_t memory)
      : channel_(channel), client_(client), memory_(memory) {}

  // Returns when there is room for making and sending the corrections of `descriptor`.
  void make_room(const Descriptor& descriptor) {
    if (memory_ == 0) return;
    const uint64_t needed = dealing_bytes(descriptor);
    if (needed > memory_) {
      throw RangeError("a correlation needs " + std::to_string(in_mebibytes(needed)) +
                       " MiB at the dealer, which has " + std::to_string(in_mebibytes(memory_)) +
                       " MiB for a session; use smaller batches, or give it more memory");
    }
    if (unsent_ + needed > memory_) {
      channel_.flush(net::kCorrectionLane);
      unsent_ = 0;
    }
  }

  void send(int party, Message corrections) {
    unsent_ += corrections.size();
    channel_.send(party, net::kCorrectionLane, Operation::dealer_correction, DType::bytes,
                  std::move(corrections));
  }
  void send(Message corrections) { send(client_, std::move(corrections)); }

 private:
  static uint64_t in_mebibytes(uint64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }

  net::Channel& channel_;
  int client_;
  size_t memory_;
  size_t unsent_ = 0;  // at most; some of it has arrived
};

// False: the party needs no more.
bool answer(std::span<const uint8_t> request, const Dealer& dealer, Outbox& outbox) {
  const auto count = take_number<uint32_t>(request);
  for (uint32_t i = 0; i < count; ++i) {
    const auto serial = take_number<uint64_t>(request);
    const auto length = take_number<uint32_t>(request);
    const Descriptor descriptor = Descriptor::parse(take(request, length), dealer.parties());
    outbox.make_room(descriptor);
    Message corrections(descriptor.correction_bytes());
    dealer.deal(serial, descriptor, corrections.data());
    if (crypto::mutant::planted(crypto::mutant::kCorrectionToAll)) {
      Message copy(corrections.size());
      std::memcpy(copy.data(), corrections.data(), corrections.size());
      outbox.send(0, std::move(copy));
    }
    outbox.send(std::move(corrections));
  }
  if (count > 0 && !request.empty()) throw ProtocolError("dealer request: bytes left over");
  return count > 0;
}

}  // namespace

void serve_dealer(net::Channel& channel, int parties, size_t memory) {
  const int client = parties - 1;
  Attendance others(channel, client);
  try {
    std::vector<crypto::Key> keys(parties);
    for (int p = 0; p < parties; ++p) {
      keys[p] = crypto::random_key();
      Message seed(16);
      std::memcpy(seed.data(), keys[p].bytes.data(), 16);
      channel.send(p, net::kCorrectionLane, Operation::dealer_seed, DType::bytes, std::move(seed));
    }
    const Dealer dealer(keys);
    Outbox outbox(channel, client, memory);
    for (;;) {
      const Message request =
          channel
              .receive_up_to(client, net::kRequestLane, Operation::dealer_request, DType::bytes,
                             kMaxRequestBytes)
              ->wait_without_limit();
      if (!answer({request.data(), request.size()}, dealer, outbox)) break;
    }
    outbox.send(Message(0));
    channel.flush();
  } catch (const Error&) {
    others.rethrow_loss();
    throw;
  }
}

}  // namespace cryptensor::correlation
