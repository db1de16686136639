// SPDX-License-Identifier: MIT
// What each operation cost: always counted, never a value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cryptensor::protocol {

struct OperationCost {
  uint64_t calls = 0;
  uint64_t rounds = 0;
  uint64_t bytes_sent = 0;      // payload to other parties
  uint64_t bytes_received = 0;  // payload from other parties
  uint64_t messages = 0;        // sent to other parties; each carries a header besides
  uint64_t dealer_bytes = 0;    // corrections
  double wait_seconds = 0;
  void add(const OperationCost& other) {
    calls += other.calls;
    rounds += other.rounds;
    bytes_sent += other.bytes_sent;
    bytes_received += other.bytes_received;
    messages += other.messages;
    dealer_bytes += other.dealer_bytes;
    wait_seconds += other.wait_seconds;
  }
};

// The work of the dealer that a rehearsal plays itself: seconds of its thread, and how often it was
// asked.
struct Dealing {
  double seconds = 0;
  uint64_t requests = 0;
};

// Totals so far, of everything but calls.
class CostSource {
 public:
  virtual ~CostSource() = default;
  virtual OperationCost total() const = 0;
};

// Charges costs to the innermost operation that is running.
class Statistics {
 public:
  explicit Statistics(const CostSource* source = nullptr) : source_(source) {}

  const std::map<std::string, OperationCost>& operations() const { return operations_; }
  void reset();
  uint64_t reveals = 0;
  // No operation begins any more: Error.
  void close() { closed_ = true; }
  // The operations that are running, from the outermost on, with dots between.
  std::string running() const;

 private:
  friend class OperationScope;
  void charge();  // what came since the last charge, to the innermost operation

  const CostSource* source_;
  OperationCost charged_;
  bool closed_ = false;
  std::vector<std::string> running_;
  std::map<std::string, OperationCost> operations_;
};

class OperationScope {
 public:
  OperationScope(Statistics& statistics, const char* name);
  ~OperationScope();
  OperationScope(const OperationScope&) = delete;
  OperationScope& operator=(const OperationScope&) = delete;

 private:
  Statistics& statistics_;
};

}  // namespace cryptensor::protocol
