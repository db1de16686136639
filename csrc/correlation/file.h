// SPDX-License-Identifier: MIT
// An open file or folder. What the system refuses is a StoreError that names it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

namespace cryptensor::correlation {

class File {
 public:
  enum class Mode { read, write, create };  // `create` makes a new one, for its owner only

  File(std::filesystem::path path, Mode mode);
  // None where there is no such file.
  static std::optional<File> existing(const std::filesystem::path& path);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const;
  // False where the file ends before.
  bool read(uint64_t offset, void* to, size_t n) const;
  void write(uint64_t offset, const void* from, size_t n);
  void sync();  // returns when the disk has it
  void resize(uint64_t bytes);

  // For reading, for as long as anybody holds the pointer.
  std::shared_ptr<const uint8_t> map(uint64_t offset, size_t n) const;

  // Among all processes; waits, or returns false where another one has it.
  void lock();
  bool try_lock();
  void unlock();

 private:
  File(std::filesystem::path path, int descriptor) : path_(std::move(path)), fd_(descriptor) {}
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  int fd_;
};

// Makes what was created, renamed or removed in a folder last.
void sync_folder(const std::filesystem::path& folder);
// In one step, and for good: `to` is replaced.
void rename_for_good(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace cryptensor::correlation
