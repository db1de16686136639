// SPDX-License-Identifier: MIT
#include "protocol/additive/announcement.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

namespace cryptensor::protocol::additive {
namespace {

constexpr uint8_t kUnknownShape = 255;
constexpr uint8_t kIntegers = 128;  // beside the number of dimensions

[[noreturn]] void raise(Announcement::Status status, const std::string& what) {
  switch (status) {
    case Announcement::Status::range:
      throw RangeError(what);
    case Announcement::Status::shape:
      throw ShapeError(what);
    default:
      throw ConfigError(what);
  }
}

// Zeros count as ones: torch multiplies the other sizes all the same.
bool fits(const std::vector<int64_t>& sizes) {
  uint64_t n = 1;
  for (const int64_t s : sizes) {
    if (s < 0 || static_cast<uint64_t>(s) > correlation::kMaxElements) return false;
    n *= s > 0 ? s : 1;  // both factors are at most 2^31
    if (n > correlation::kMaxElements) return false;
  }
  return sizes.size() <= correlation::kMaxDimensions;
}

}  // namespace

void Announcement::add(const std::vector<int64_t>& sizes, bool integers) {
  if (!fits(sizes)) {
    throw ShapeError(
        fmt::format("tensor {} has shape [{}]; allowed are {} dimensions and 2^31 elements",
                    entries.size(), fmt::join(sizes, ", "), correlation::kMaxDimensions));
  }
  entries.push_back({sizes, integers});
}

void Announcement::fail(const Error& error) {
  status = dynamic_cast<const RangeError*>(&error)   ? Status::range
           : dynamic_cast<const ShapeError*>(&error) ? Status::shape
                                                     : Status::config;
  reason = error.what();
  entries.clear();
}

std::vector<uint8_t> Announcement::serialize() const {
  std::vector<uint8_t> out;
  const auto put = [&out](const void* from, size_t n) {
    const auto* bytes = static_cast<const uint8_t*>(from);
    out.insert(out.end(), bytes, bytes + n);
  };
  put(&src, 4);
  put(&status, 1);
  const uint32_t count = static_cast<uint32_t>(entries.size());
  put(&count, 4);
  for (const auto& [shape, integers] : entries) {
    const uint8_t kind = integers ? kIntegers : 0;
    const uint8_t rank = shape ? static_cast<uint8_t>(shape->size() | kind) : kUnknownShape;
    put(&rank, 1);
    if (shape) put(shape->data(), 8 * shape->size());
  }
  return out;
}

Announcement Announcement::parse(std::span<const uint8_t> bytes) {
  const auto take = [&bytes](void* to, size_t n) {
    if (bytes.size() < n) throw ProtocolError("announcement: cut short");
    if (n > 0) std::memcpy(to, bytes.data(), n);  // a scalar's list of sizes is a null pointer
    bytes = bytes.subspan(n);
  };
  Announcement out;
  uint8_t status;
  uint32_t count;
  take(&out.src, 4);
  take(&status, 1);
  take(&count, 4);
  if (status > static_cast<uint8_t>(Status::shape))
    throw ProtocolError("announcement: unknown status");
  if (count > bytes.size()) throw ProtocolError("announcement: too many shapes");
  out.status = static_cast<Status>(status);
  for (uint32_t i = 0; i < count; ++i) {
    uint8_t rank;
    take(&rank, 1);
    if (rank == kUnknownShape) {
      out.add_unknown();
      continue;
    }
    const bool integers = rank & kIntegers;
    rank &= kIntegers - 1;
    if (rank > correlation::kMaxDimensions)
      throw ProtocolError("announcement: too many dimensions");
    std::vector<int64_t> sizes(rank);
    take(sizes.data(), 8 * sizes.size());
    if (!fits(sizes)) throw ProtocolError("announcement: impossible size");
    out.entries.push_back({std::move(sizes), integers});
  }
  if (!bytes.empty()) throw ProtocolError("announcement: bytes left over");
  return out;
}

std::vector<Announcement> announce(Links& links, Announcement mine) {
  net::Channel& channel = links.channel();
  const int n = links.parties(), me = links.rank();
  std::vector<uint8_t> bytes = mine.serialize();
  if (bytes.size() > kMaxAnnouncementBytes) {
    mine.fail(ConfigError(fmt::format("{} inputs at once; allowed are about {}",
                                      mine.entries.size(), kMaxAnnouncementBytes / 40)));
    bytes = mine.serialize();
  }
  std::vector<std::unique_ptr<net::Receive>> receives(n);
  for (int p = 0; p < n; ++p) {
    if (p == me) continue;
    receives[p] = channel.receive_up_to(p, links.lane(), net::Operation::announce,
                                        net::DType::bytes, kMaxAnnouncementBytes);
  }
  for (int p = 0; p < n; ++p) {
    if (p == me) continue;
    net::Message message(bytes.size());
    std::memcpy(message.data(), bytes.data(), bytes.size());
    channel.send(p, links.lane(), net::Operation::announce, net::DType::bytes, std::move(message));
  }
  std::vector<Announcement> all(n, mine);
  for (int p = 0; p < n; ++p) {
    if (p == me) continue;
    const net::Message message = receives[p]->wait();
    all[p] = Announcement::parse({message.data(), message.size()});
  }
  return all;
}

void check_agreement(const std::vector<Announcement>& all, int rank) {
  using Status = Announcement::Status;
  const Announcement& mine = all[rank];
  if (mine.status != Status::ok) raise(mine.status, mine.reason);
  for (size_t p = 0; p < all.size(); ++p) {
    if (all[p].status != Status::ok) {
      raise(all[p].status, fmt::format("party {} refused its input; see the error there", p));
    }
  }
  const int parties = static_cast<int>(all.size());
  for (int p = 0; p < parties; ++p) {
    if (all[p].src != all[0].src) {
      raise(Status::config,
            fmt::format("src is {} at party 0 and {} at party {}; it must be the same", all[0].src,
                        all[p].src, p));
    }
  }
  const int src = all[0].src;
  if (src < 0 || src >= parties) {
    raise(Status::config,
          fmt::format("src is {}; allowed are the ranks 0 to {}", src, parties - 1));
  }
  for (int p = 0; p < parties; ++p) {
    if (all[p].entries.size() != all[src].entries.size()) {
      raise(Status::shape, fmt::format("party {} passes {} tensors and party {}, the owner, {}", p,
                                       all[p].entries.size(), src, all[src].entries.size()));
    }
    for (size_t i = 0; i < all[src].entries.size(); ++i) {
      const auto &theirs = all[p].entries[i].shape, &owners = all[src].entries[i].shape;
      if (!owners) raise(Status::config, fmt::format("party {}, the owner, passes no data", src));
      if (theirs && *theirs != *owners) {
        raise(Status::shape,
              fmt::format("tensor {} has shape [{}] at party {} and [{}] at party {}, the owner", i,
                          fmt::join(*theirs, ", "), p, fmt::join(*owners, ", "), src));
      }
    }
  }
}

std::vector<Secret> enter(Links& links, const std::vector<Input>& inputs, int src, int precision,
                          const std::function<at::Tensor(const Input&)>& encode) {
  const int rank = links.rank();
  Announcement mine;
  mine.src = src;
  std::vector<at::Tensor> encoded(inputs.size());
  try {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Input& in = inputs[i];
      if (in.values.defined() && rank == src) encoded[i] = encode(in);
      if (rank == src && !in.values.defined()) {
        throw ConfigError(
            fmt::format("data is None at party {}, its owner; a tensor is needed there", src));
      }
      if (in.values.defined()) {
        mine.add(in.values.sizes().vec(), in.integers);
      } else if (in.sizes) {
        mine.add(*in.sizes, in.integers);
      } else {
        mine.add_unknown();
      }
    }
  } catch (const Error& error) {
    mine.fail(error);
  }
  const std::vector<Announcement> all = announce(links, mine);
  links.count_round();
  check_agreement(all, rank);
  std::vector<Secret> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& [sizes, integers] = all[src].entries[i];
    out.emplace_back(rank == src ? encoded[i] : at::zeros(*sizes, at::kLong),
                     integers ? 0 : precision, src);
  }
  return out;
}

}  // namespace cryptensor::protocol::additive
