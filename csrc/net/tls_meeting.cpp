// SPDX-License-Identifier: MIT
#include "net/tls_meeting.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "core/errors.h"
#include "net/channel.h"

namespace cryptensor::net {
namespace {

using Clock = std::chrono::steady_clock;
using Deadline = TlsStream::Deadline;
using std::chrono::milliseconds;

// A peer that is there answers at once; one that does not must not keep the others waiting.
constexpr milliseconds kHandshake{2000};
constexpr milliseconds kRetry{50};
constexpr int kSocketBuffer = 4 << 20;

enum Verdict : uint16_t { kAccepted = 0, kOtherSession, kOtherName };

// What the connecting side says first, and the other side's answer.
struct Hello {
  uint32_t magic = 0x31544c54;  // "TLT1"
  uint16_t sender = 0, receiver = 0;
  uint16_t lane = 0, verdict = kAccepted;
  std::array<uint8_t, 32> session{};
};
static_assert(sizeof(Hello) == 44);
constexpr const char* kOtherSessionText = "it belongs to another session, or has other settings";

std::span<uint8_t> bytes_of(Hello& hello) {
  return {reinterpret_cast<uint8_t*>(&hello), sizeof hello};
}

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

bool ready(int socket, short events, Deadline deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  pollfd waiting{socket, events, 0};
  return ::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) > 0;
}

void prepare(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
}

// -1: not reachable now.
int try_connect(const Address& address, Deadline deadline) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  const std::string port = std::to_string(address.port);
  if (::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found) != 0) return -1;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Socket socket(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
    if (socket.get() < 0) continue;
    prepare(socket.get());
    if (::connect(socket.get(), a->ai_addr, a->ai_addrlen) != 0) {
      if (errno != EINPROGRESS || !ready(socket.get(), POLLOUT, deadline)) continue;
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) continue;
    }
    return socket.release();
  }
  return -1;
}

class Meet {
 public:
  Meet(const TlsContext& context, const Meeting& meeting)
      : context_(context),
        meeting_(meeting),
        size_(static_cast<int>(meeting.addresses.size())),
        deadline_(Clock::now() + meeting.timeout) {
    made_.outgoing.resize(size_ * kLaneCount);
    made_.incoming.resize(size_ * kLaneCount);
  }

  Connections run() {
    std::thread accepting([this] { guarded([this] { accept_all(); }); });
    guarded([this] { connect_all(); });
    accepting.join();
    if (refused_) std::rethrow_exception(refused_);
    if (failed_) std::rethrow_exception(failed_);
    return std::move(made_);
  }

 private:
  // The first failure is the cause of the others, but a certificate that is refused tells most.
  template <class Work>
  void guarded(Work work) {
    try {
      return work();
    } catch (const AuthFailed&) {
      const std::lock_guard lock(mutex_);
      if (!refused_) refused_ = std::current_exception();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_) failed_ = std::current_exception();
    }
    stop_ = true;
  }

  // Errors name the peer.
  template <class Work>
  auto of_peer(int peer, Work work) {
    const auto named = [&](const Error& error) {
      return "rank " + std::to_string(peer) + " (" + meeting_.names[peer] + "): " + error.what();
    };
    try {
      return work();
    } catch (const AuthFailed& error) {
      throw AuthFailed(named(error));
    } catch (const Error& error) {
      throw SetupError(named(error));
    }
  }

  void connect_all() {
    for (int peer = 0; peer < size_; ++peer) {
      if (peer == meeting_.rank) continue;
      for (int lane = 0; lane < kLaneCount; ++lane) {
        made_.outgoing[peer * kLaneCount + lane] = connect_to(peer, lane);
      }
    }
  }

  std::unique_ptr<TlsStream> connect_to(int peer, int lane) {
    const Address& address = meeting_.addresses[peer];
    int socket = -1;
    while ((socket = try_connect(address, deadline_)) < 0) {
      if (stop_ || Clock::now() > deadline_) {
        throw SetupError("rank " + std::to_string(peer) + " does not answer at " + address.host +
                         ":" + std::to_string(address.port));
      }
      std::this_thread::sleep_for(kRetry);
    }
    return of_peer(peer, [&] {
      const Deadline soon = std::min(deadline_, Clock::now() + kHandshake);
      auto stream = TlsStream::connect(context_, socket, meeting_.names[peer], soon);
      Hello hello;
      hello.sender = static_cast<uint16_t>(meeting_.rank);
      hello.receiver = static_cast<uint16_t>(peer);
      hello.lane = static_cast<uint16_t>(lane);
      hello.session = meeting_.session;
      stream->write(bytes_of(hello), soon);
      // In TLS 1.3 the other side checks this rank's certificate after the handshake ended here.
      Hello answer;
      stream->read(bytes_of(answer), soon);
      if (answer.verdict == kOtherName) {
        throw AuthFailed("it refuses this rank's certificate, which is not that of " +
                         meeting_.names[meeting_.rank]);
      }
      if (std::memcmp(&answer, &hello, sizeof hello) != 0) throw SetupError(kOtherSessionText);
      return stream;
    });
  }

  void accept_all() {
    const int wanted = (size_ - 1) * kLaneCount;
    for (int made = 0; made < wanted;) {
      if (stop_) return;
      if (Clock::now() > deadline_) throw SetupError(absent());
      if (!ready(meeting_.listener, POLLIN, Clock::now() + kRetry)) continue;
      const int socket = ::accept4(meeting_.listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      prepare(socket);
      if (accept_from(socket)) ++made;
    }
  }

  // False for a connection of something that is no peer.
  bool accept_from(int socket) {
    const Deadline soon = std::min(deadline_, Clock::now() + kHandshake);
    std::unique_ptr<TlsStream> stream;
    Hello hello;
    try {
      stream = TlsStream::accept(context_, socket, soon);
      if (!stream) return false;
      stream->read(bytes_of(hello), soon);
    } catch (const AuthFailed& error) {
      throw AuthFailed("a peer that connected to rank " + std::to_string(meeting_.rank) +
                       " is refused: " + error.what());
    } catch (const Error&) {
      return false;  // silent, or gone again
    }
    const Hello empty;
    if (hello.magic != empty.magic || hello.sender >= size_ || hello.sender == meeting_.rank ||
        hello.lane >= kLaneCount || hello.receiver != meeting_.rank) {
      return false;
    }
    auto& place = made_.incoming[hello.sender * kLaneCount + hello.lane];
    const auto answer = [&](Verdict verdict) {
      hello.verdict = verdict;
      stream->write(bytes_of(hello), soon);
    };
    return of_peer(hello.sender, [&] {
      try {
        stream->check_name(meeting_.names[hello.sender]);
      } catch (const AuthFailed&) {
        answer(kOtherName);
        throw;
      }
      if (hello.session != meeting_.session) {
        answer(kOtherSession);
        throw SetupError(kOtherSessionText);
      }
      if (place) throw AuthFailed("it connects twice");
      answer(kAccepted);
      place = std::move(stream);
      return true;
    });
  }

  std::string absent() const {
    std::string missing;
    for (int peer = 0; peer < size_; ++peer) {
      if (peer == meeting_.rank || made_.incoming[peer * kLaneCount]) continue;
      missing += (missing.empty() ? "" : ", ") + std::to_string(peer);
    }
    return "did not connect in time: rank " + missing;
  }

  const TlsContext& context_;
  const Meeting& meeting_;
  int size_;
  Deadline deadline_;
  Connections made_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::exception_ptr refused_, failed_;
};

}  // namespace

Connections connect_all(const TlsContext& context, const Meeting& meeting) {
  const Socket listener(meeting.listener);
  ::fcntl(meeting.listener, F_SETFL, ::fcntl(meeting.listener, F_GETFL) | O_NONBLOCK);
  if (meeting.addresses.size() != meeting.names.size() || meeting.addresses.size() > 65535) {
    throw ConfigError("addresses and names must be as many as there are ranks");
  }
  return Meet(context, meeting).run();
}

}  // namespace cryptensor::net
