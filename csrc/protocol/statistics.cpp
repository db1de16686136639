// SPDX-License-Identifier: MIT
#include "protocol/statistics.h"

#include "core/errors.h"
#include "protocol/profiling.h"

namespace cryptensor::protocol {

void Statistics::charge() {
  if (source_ == nullptr) return;
  const OperationCost now = source_->total();
  if (!running_.empty()) {
    OperationCost& cost = operations_[running_.back()];
    cost.rounds += now.rounds - charged_.rounds;
    cost.bytes_sent += now.bytes_sent - charged_.bytes_sent;
    cost.bytes_received += now.bytes_received - charged_.bytes_received;
    cost.messages += now.messages - charged_.messages;
    cost.dealer_bytes += now.dealer_bytes - charged_.dealer_bytes;
    cost.wait_seconds += now.wait_seconds - charged_.wait_seconds;
  }
  charged_ = now;
}

void Statistics::reset() {
  charge();
  operations_.clear();
  reveals = 0;
}

std::string Statistics::running() const {
  std::string out;
  for (const std::string& name : running_) out += (out.empty() ? "" : ".") + name;
  return out;
}

OperationScope::OperationScope(Statistics& statistics, const char* name) : statistics_(statistics) {
  if (statistics.closed_) {
    throw Error(std::string(name) + ": the session of this secret has been shut down");
  }
  statistics_.charge();
  statistics_.running_.emplace_back(name);
  ++statistics_.operations_[name].calls;
  begin_record(name);
}

OperationScope::~OperationScope() {
  end_record();
  statistics_.charge();
  statistics_.running_.pop_back();
}

}  // namespace cryptensor::protocol
