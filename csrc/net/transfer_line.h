// SPDX-License-Identifier: MIT
// Frames that move in a thread of their own, one after the other.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace cryptensor::net {

// One frame under way, shared by who waits for it and who moves it.
class Transfer {
 public:
  void finish(std::exception_ptr failure = nullptr) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = std::move(failure);
      done_.store(true, std::memory_order_release);
    }
    changed_.notify_all();
  }

  bool done() const { return done_.load(std::memory_order_acquire); }

  // True when it is done; throws what it has failed for.
  bool wait(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_until(lock, deadline, [this] { return done(); })) return false;
    if (failure_) std::rethrow_exception(failure_);
    return true;
  }

 private:
  std::atomic<bool> done_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::exception_ptr failure_;
};

// Jobs, each with a `transfer`, that move in order in a thread that starts with the first of them.
// After a failure everything fails for the same reason. A class behind it calls stop() at its end.
template <class Job>
class TransferLine {
 public:
  virtual ~TransferLine() = default;

 protected:
  // No job comes any more. move() returns soon, for a reason of its own.
  void close_line() {
    {
      const std::lock_guard lock(mutex_);
      closed_.store(true);
    }
    changed_.notify_all();
  }
  bool closed() const { return closed_.load(); }

  void stop() {
    if (thread_.joinable()) thread_.join();
  }

  // Under the lock.
  void put(Job job) {
    if (failure_) return job.transfer->finish(failure_);
    jobs_.push_back(std::move(job));
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    changed_.notify_all();
  }

  void fail(std::exception_ptr failure) {
    failure_ = std::move(failure);
    for (Job& job : jobs_) job.transfer->finish(failure_);
    jobs_.clear();
  }

  virtual void move(Job& job) = 0;

  std::mutex mutex_;
  std::deque<Job> jobs_;
  std::exception_ptr failure_;

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      // It stays in the line while it moves, so that nothing overtakes it.
      Job& job = jobs_.front();
      lock.unlock();
      std::exception_ptr failure;
      try {
        move(job);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure) {
        fail(failure);
        continue;
      }
      const auto transfer = std::move(jobs_.front().transfer);
      jobs_.pop_front();
      transfer->finish();
    }
  }

  std::condition_variable changed_;
  std::atomic<bool> closed_{false};
  std::thread thread_;
};

}  // namespace cryptensor::net
