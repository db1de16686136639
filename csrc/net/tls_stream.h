// SPDX-License-Identifier: MIT
// One direction of an encrypted connection between two ranks: TLS 1.3 over TCP, both sides with a
// certificate that names the rank.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace cryptensor::net {

// PEM files of one rank.
struct Identity {
  std::string authority;    // whom this rank believes
  std::string certificate;  // who it is
  std::string key;
};

// What all connections of a rank have in common. ConfigError names a file that cannot be used.
class TlsContext {
 public:
  explicit TlsContext(const Identity& identity);

  struct Native;
  const Native& native() const { return *native_; }

 private:
  std::shared_ptr<const Native> native_;
};

// Owns a connected socket. Reads belong to one thread and writes to one thread, which must not be
// at work at the same time; close() may come from any.
class TlsStream {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // Handshakes. AuthFailed: no certificate, one of another authority, expired, or of another name.
  static std::unique_ptr<TlsStream> connect(const TlsContext& context, int socket,
                                            const std::string& peer_name, Deadline deadline);
  // The peer's name is not known yet: check_name() before anything else is believed. Null where the
  // other side does not speak TLS at all.
  static std::unique_ptr<TlsStream> accept(const TlsContext& context, int socket,
                                           Deadline deadline);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  void check_name(const std::string& peer_name) const;  // AuthFailed

  // All bytes. PeerTimeout, PeerLost; AuthFailed for a record that was altered or replayed.
  void read(std::span<uint8_t> bytes, Deadline deadline);
  void write(std::span<const uint8_t> bytes, Deadline deadline);
  // As many as fit without waiting.
  size_t write_some(std::span<const uint8_t> bytes);

  // Both ends, and whoever waits here, see a lost connection.
  void close();

 private:
  struct State;
  explicit TlsStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cryptensor::net
