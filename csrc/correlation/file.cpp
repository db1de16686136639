// SPDX-License-Identifier: MIT
#include "correlation/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/errors.h"

namespace cryptensor::correlation {
namespace {

constexpr mode_t kOwnerOnly = 0600;

[[noreturn]] void refuse(const std::filesystem::path& path, const char* what) {
  throw StoreError(fmt::format("{} cannot be {}: {}", path.string(), what, std::strerror(errno)));
}

int flags_of(File::Mode mode) {
  switch (mode) {
    case File::Mode::read:
      return O_RDONLY;
    case File::Mode::write:
      return O_RDWR;
    case File::Mode::create:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

}  // namespace

File::File(std::filesystem::path path, Mode mode) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), flags_of(mode) | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly);
  if (fd_ < 0) refuse(path_, mode == Mode::create ? "created" : "opened");
}

std::optional<File> File::existing(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0) return File(path, fd);
  if (errno == ENOENT) return std::nullopt;
  refuse(path, "opened");
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

void File::fail(const char* what) const { refuse(path_, what); }

uint64_t File::size() const {
  struct stat status;
  if (::fstat(fd_, &status) != 0) fail("looked at");
  return static_cast<uint64_t>(status.st_size);
}

bool File::read(uint64_t offset, void* to, size_t n) const {
  auto* bytes = static_cast<uint8_t*>(to);
  while (n > 0) {
    const ssize_t got = ::pread(fd_, bytes, n, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read");
    if (got == 0) return false;
    bytes += got;
    offset += got;
    n -= got;
  }
  return true;
}

void File::write(uint64_t offset, const void* from, size_t n) {
  const auto* bytes = static_cast<const uint8_t*>(from);
  while (n > 0) {
    const ssize_t put = ::pwrite(fd_, bytes, n, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail("written");
    bytes += put;
    offset += put;
    n -= put;
  }
}

void File::sync() {
  if (::fsync(fd_) != 0) fail("made to last");
}

void File::resize(uint64_t bytes) {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail("resized");
}

std::shared_ptr<const uint8_t> File::map(uint64_t offset, size_t n) const {
  void* memory =
      ::mmap(nullptr, n, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd_, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) fail("mapped");
  ::madvise(memory, n, MADV_DONTDUMP);
  return {static_cast<const uint8_t*>(memory),
          [n](const uint8_t* mapped) { ::munmap(const_cast<uint8_t*>(mapped), n); }};
}

void File::lock() {
  while (::flock(fd_, LOCK_EX) != 0) {
    if (errno != EINTR) fail("locked");
  }
}

bool File::try_lock() {
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK) fail("locked");
  return false;
}

void File::unlock() { ::flock(fd_, LOCK_UN); }

void sync_folder(const std::filesystem::path& folder) {
  File(folder.empty() ? std::filesystem::path(".") : folder, File::Mode::read).sync();
}

void rename_for_good(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) refuse(to, "written");
  sync_folder(to.parent_path());
}

}  // namespace cryptensor::correlation
