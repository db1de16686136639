// SPDX-License-Identifier: MIT
#include "net/shared_memory_meeting.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Memory that shrinks below a mapping would end the process that touches it.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
// Somebody of this user who connects and says nothing.
constexpr milliseconds kPatience{2000};

// What comes with the memory, and goes back as the answer.
struct Hello {
  uint32_t magic = 0x314d4853;  // "SHM1"
  uint16_t sender = 0, receiver = 0;
  uint64_t bytes = sizeof(PairMemory);

  bool operator==(const Hello&) const = default;
};
static_assert(sizeof(Hello) == 16);

[[noreturn]] void refuse(int rank, const std::string& what) {
  throw SetupError("rank " + std::to_string(rank) + ": shared memory: " + what);
}

bool ready(int socket, Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  pollfd waiting{socket, POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) > 0;
}

std::shared_ptr<PairMemory> map(int rank, const Descriptor& memory) {
  void* place =
      ::mmap(nullptr, sizeof(PairMemory), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (place == MAP_FAILED) refuse(rank, std::strerror(errno));
  // Masked values and corrections have no place in a core dump.
  ::madvise(place, sizeof(PairMemory), MADV_DONTDUMP);
  return {static_cast<PairMemory*>(place),
          [](PairMemory* memory) { ::munmap(memory, sizeof(PairMemory)); }};
}

Descriptor make_memory(int rank) {
  Descriptor memory(::memfd_create("cryptensor-link", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), sizeof(PairMemory)) != 0 ||
      ::fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0) {
    refuse(rank, std::strerror(errno));
  }
  return memory;
}

bool is_sound(const Descriptor& memory) {
  struct stat status{};
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && ::fstat(memory.get(), &status) == 0 &&
         status.st_size == sizeof(PairMemory);
}

// Room for one descriptor in a packet.
union Passed {
  cmsghdr header;
  char room[CMSG_SPACE(sizeof(int))];
};

bool send_hello(int socket, Hello hello, const Descriptor* memory) {
  iovec part{&hello, sizeof hello};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Passed passed{};
  if (memory != nullptr) {
    message.msg_control = passed.room;
    message.msg_controllen = sizeof passed.room;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = memory->get();
    std::memcpy(CMSG_DATA(header), &number, sizeof number);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof hello;
}

// False where nothing sound came in time. What does not fit is discarded by the kernel.
bool receive_hello(int socket, Hello& hello, Descriptor* memory, Clock::time_point deadline) {
  if (!ready(socket, deadline)) return false;
  iovec part{&hello, sizeof hello};
  Passed passed{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = passed.room;
  message.msg_controllen = sizeof passed.room;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof hello) return false;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return memory == nullptr;
  if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return false;
  const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  std::vector<Descriptor> received;  // all of them, so that none is left open
  for (size_t i = 0; i < count; ++i) {
    int number;
    std::memcpy(&number, CMSG_DATA(header) + i * sizeof number, sizeof number);
    received.emplace_back(number);
  }
  if (memory == nullptr || count != 1) return false;
  *memory = std::move(received[0]);
  return true;
}

// Whoever is at the other end, when it is a process of this user.
bool is_of_this_user(int socket, Descriptor& process) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != ::geteuid()) {
    return false;
  }
#if defined(SYS_pidfd_open)
  if (peer.pid > 0) {
    process = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  }
#endif
  return true;
}

SharedLink connect_to(const LocalMeeting& meeting, int peer) {
  const std::string& name = meeting.names[peer];
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() + 1 > sizeof address.sun_path) refuse(meeting.rank, "a name is too long");
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  SharedLink link;
  link.socket = Descriptor(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!link.socket ||
      ::connect(link.socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) {
    refuse(meeting.rank, "rank " + std::to_string(peer) + " is gone: " + std::strerror(errno));
  }
  if (!is_of_this_user(link.socket.get(), link.process)) {
    refuse(meeting.rank, "rank " + std::to_string(peer) + " is a process of another user");
  }
  const Descriptor memory = make_memory(meeting.rank);
  link.memory = map(meeting.rank, memory);
  Hello hello;
  hello.sender = static_cast<uint16_t>(meeting.rank);
  hello.receiver = static_cast<uint16_t>(peer);
  if (!send_hello(link.socket.get(), hello, &memory)) {
    refuse(meeting.rank, "rank " + std::to_string(peer) + " is gone: " + std::strerror(errno));
  }
  return link;
}

void accept_next(const LocalMeeting& meeting, std::vector<SharedLink>& links,
                 Clock::time_point deadline) {
  SharedLink link;
  link.socket = Descriptor(::accept4(meeting.listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!link.socket || !is_of_this_user(link.socket.get(), link.process)) return;
  Hello hello;
  Descriptor memory;
  if (!receive_hello(link.socket.get(), hello, &memory,
                     std::min(deadline, Clock::now() + kPatience)) ||
      !is_sound(memory)) {
    return;
  }
  Hello expected;
  expected.sender = hello.sender;
  expected.receiver = static_cast<uint16_t>(meeting.rank);
  if (hello != expected || hello.sender <= meeting.rank || hello.sender >= links.size() ||
      links[hello.sender].memory) {
    return;
  }
  link.memory = map(meeting.rank, memory);
  if (send_hello(link.socket.get(), hello, nullptr)) links[hello.sender] = std::move(link);
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}
Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

std::vector<SharedLink> meet_locally(const LocalMeeting& meeting) {
  const Clock::time_point deadline = Clock::now() + meeting.timeout;
  const Descriptor listener(meeting.listener);
  const int size = static_cast<int>(meeting.names.size());
  std::vector<SharedLink> links(size);
  // All listen already, so that connecting waits for nobody.
  for (int peer = 0; peer < meeting.rank; ++peer) links[peer] = connect_to(meeting, peer);
  const auto absent = [&] {
    return std::find_if(links.begin() + meeting.rank + 1, links.end(),
                        [](const SharedLink& link) { return !link.memory; });
  };
  const auto late = [&](int peer) {
    refuse(meeting.rank, "rank " + std::to_string(peer) + " did not connect within " +
                             std::to_string(meeting.timeout.count()) + " ms");
  };
  while (absent() != links.end()) {
    if (!ready(listener.get(), deadline)) late(static_cast<int>(absent() - links.begin()));
    accept_next(meeting, links, deadline);
  }
  for (int peer = 0; peer < meeting.rank; ++peer) {
    Hello expected, hello;
    expected.sender = static_cast<uint16_t>(meeting.rank);
    expected.receiver = static_cast<uint16_t>(peer);
    if (!receive_hello(links[peer].socket.get(), hello, nullptr, deadline) || hello != expected) {
      late(peer);
    }
  }
  return links;
}

}  // namespace cryptensor::net
