// SPDX-License-Identifier: MIT
#include "net/rehearsal_transport.h"

#include <cstring>

namespace cryptensor::net {
namespace {

class Swallowed : public Pending {
 public:
  void wait(std::chrono::milliseconds) override {}
};

}  // namespace

class RehearsalTransport::Answer : public Pending {
 public:
  Answer(std::shared_ptr<Sent> sent, std::pair<int, int> link, FrameHeader header,
         std::shared_ptr<Bytes> frame)
      : sent_(std::move(sent)), link_(link), header_(header), frame_(std::move(frame)) {}

  // Receives are posted before the send that they answer.
  void wait(std::chrono::milliseconds) override {
    const bool agrees =
        header_.operation == Operation::handshake || header_.operation == Operation::announce;
    const auto own = agrees ? sent_->find(link_) : sent_->end();
    const bool echoes = own != sent_->end() && own->second->size() <= frame_->size();
    if (echoes) frame_->resize(own->second->size());
    header_.length = frame_->size() - kHeaderBytes;
    write(header_, frame_->data());
    uint8_t* payload = frame_->data() + kHeaderBytes;
    if (echoes) {
      std::memcpy(payload, own->second->data() + kHeaderBytes, header_.length);
    } else {
      std::memset(payload, 0, header_.length);
    }
  }

 private:
  std::shared_ptr<Sent> sent_;
  std::pair<int, int> link_;
  FrameHeader header_;
  std::shared_ptr<Bytes> frame_;
};

std::unique_ptr<Pending> RehearsalTransport::post_send(int peer, int lane,
                                                       std::shared_ptr<const Bytes> frame) {
  (*sent_)[{peer, lane}] = std::move(frame);
  return std::make_unique<Swallowed>();
}

std::unique_ptr<Pending> RehearsalTransport::post_receive(int peer, int lane,
                                                          std::shared_ptr<Bytes> frame,
                                                          LengthRule) {
  return std::make_unique<Answer>(sent_, std::pair(peer, lane), expected_, std::move(frame));
}

}  // namespace cryptensor::net
