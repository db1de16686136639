// SPDX-License-Identifier: MIT
#include "correlation/third_party.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/errors.h"

namespace cryptensor::correlation {

using net::DType;
using net::Message;
using net::Operation;

// Requests collected into one message.
class ThirdPartyProvider::Batch {
 public:
  explicit Batch(size_t limit) : limit_(limit) {}
  bool fits(size_t bytes) const { return body_.size() + 12 + bytes + 4 <= limit_; }
  bool empty() const { return count_ == 0; }
  void add(uint64_t serial, const std::vector<uint8_t>& descriptor) {
    put(&serial, 8);
    const uint32_t length = static_cast<uint32_t>(descriptor.size());
    put(&length, 4);
    put(descriptor.data(), descriptor.size());
    ++count_;
  }
  Message message() const {
    Message out(4 + body_.size());
    std::memcpy(out.data(), &count_, 4);
    if (!body_.empty()) std::memcpy(out.data() + 4, body_.data(), body_.size());
    return out;
  }

 private:
  void put(const void* from, size_t n) {
    const auto* bytes = static_cast<const uint8_t*>(from);
    body_.insert(body_.end(), bytes, bytes + n);
  }
  size_t limit_;
  uint32_t count_ = 0;
  std::vector<uint8_t> body_;
};

void ThirdPartyProvider::ask(Batch& batch, uint64_t serial, uint64_t digest,
                             const Descriptor& descriptor, size_t bytes) {
  batch.add(serial, descriptor.serialize());
  expected_.push_back({serial, digest, bytes,
                       channel_.receive(dealer_rank_, net::kCorrectionLane,
                                        Operation::dealer_correction, DType::bytes, bytes)});
  expected_bytes_ += bytes;
}

void ThirdPartyProvider::taken(uint64_t serial, const Descriptor& descriptor) {
  const auto guess = forecast_.expect(serial);
  const bool right = guess && guess->digest() == descriptor.digest();
  foreseen_bytes_ =
      right ? std::min(foreseen_bytes_ + descriptor.correction_bytes(), kAheadBytes) : 0;
  forecast_.record(serial, descriptor);
}

size_t ThirdPartyProvider::ahead_limit() const {
  const size_t passes = std::max(kAheadPasses * forecast_.period_bytes(), kAheadFloor);
  return std::min({kAheadOfForeseen * foreseen_bytes_, passes, kAheadBytes});
}

// Corrections arrive in the order in which they were asked for; those of a wrong guess are dropped.
void ThirdPartyProvider::discard_until(uint64_t serial, uint64_t digest) {
  while (!expected_.empty() &&
         (expected_.front().serial != serial || expected_.front().digest != digest)) {
    expected_.front().receive->wait();
    expected_bytes_ -= expected_.front().bytes;
    expected_.pop_front();
  }
}

void ThirdPartyProvider::ask_ahead(Batch& batch, uint64_t serial) {
  while (expected_.size() < kAheadCount && expected_bytes_ < ahead_limit()) {
    const auto guess = forecast_.expect(serial);
    if (!guess) return;
    if (const size_t bytes = guess->correction_bytes(); bytes > 0) {
      if (expected_bytes_ + bytes > ahead_limit() || !batch.fits(guess->serialize().size())) return;
      ask(batch, serial, guess->digest(), *guess, bytes);
    }
    ++serial;
  }
}

std::shared_ptr<const uint8_t> ThirdPartyProvider::corrections(uint64_t serial, uint64_t digest,
                                                               const Descriptor& descriptor, Part,
                                                               size_t bytes) {
  discard_until(serial, digest);
  Batch batch(kMaxRequestBytes);
  uint64_t next = serial + 1;
  if (expected_.empty()) {
    ask(batch, serial, digest, descriptor, bytes);
  } else {
    next = expected_.back().serial + 1;
  }
  // Refill when half of the window is used up: one message for many correlations.
  if (expected_.size() <= kAheadCount / 2 && expected_bytes_ <= ahead_limit() / 2)
    ask_ahead(batch, next);
  if (!batch.empty()) {
    channel_.send(dealer_rank_, net::kRequestLane, Operation::dealer_request, DType::bytes,
                  batch.message());
  }
  auto message = std::make_shared<Message>(expected_.front().receive->wait());
  expected_bytes_ -= expected_.front().bytes;
  expected_.pop_front();
  return {message, message->data()};
}

void ThirdPartyProvider::finish() {
  if (!corrected()) return;
  channel_.send(dealer_rank_, net::kRequestLane, Operation::dealer_request, DType::bytes,
                Batch(kMaxRequestBytes).message());
  // The dealer may still be sending what was asked for ahead.
  discard_until(~uint64_t{0}, 0);
  // Nobody leaves before it knows that nothing more will be asked for: a party that is gone before
  // that is lost.
  try {
    channel_
        .receive(dealer_rank_, net::kCorrectionLane, Operation::dealer_correction, DType::bytes, 0)
        ->wait();
  } catch (const PeerLost&) {
    // It has given all that it had to give.
  }
}

}  // namespace cryptensor::correlation
