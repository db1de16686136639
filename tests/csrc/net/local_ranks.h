// SPDX-License-Identifier: MIT
// Ranks that are threads of this process and meet as processes of one host do.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "net/shared_memory_meeting.h"

namespace cryptensor::net {

struct LocalListener {
  std::string name;
  int socket;

  LocalListener() : socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    static std::atomic<int> count{0};
    name = "test-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket, 16), 0);
  }
};

// What each rank has of the others.
inline std::vector<std::vector<SharedLink>> local_ranks(int size) {
  std::vector<LocalListener> listeners(size);
  std::vector<std::string> names;
  for (const LocalListener& listener : listeners) names.push_back(listener.name);
  std::vector<std::vector<SharedLink>> links(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      links[rank] = meet_locally({rank, listeners[rank].socket, names, std::chrono::seconds(20)});
    });
  }
  for (auto& thread : threads) thread.join();
  return links;
}

}  // namespace cryptensor::net
