// SPDX-License-Identifier: MIT
#include "protocol/profiling.h"

#include <ATen/record_function.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/wait_observer.h"

namespace cryptensor::protocol {
namespace {

struct Record {
  Record(const char* what, at::StepCallbacks&& callbacks)
      : name(std::string("cryptensor::") + what), function(std::move(callbacks)) {
    function.before(std::string_view(name));
  }
  std::string name;  // observers may read it until the end
  at::RecordFunction function;
};

// Null where no profiler ran at the beginning: one may come or go before the end.
thread_local std::vector<std::unique_ptr<Record>> records;

constexpr net::WaitObserver kObserver{begin_record, end_record};

[[maybe_unused]] const bool observed = [] {
  net::observe_waits(kObserver);
  return true;
}();

}  // namespace

void begin_record(const char* name) {
  auto callbacks = at::getStepCallbacksUnlessEmpty(at::RecordScope::FUNCTION);
  records.push_back(callbacks ? std::make_unique<Record>(name, std::move(*callbacks)) : nullptr);
}

void end_record() { records.pop_back(); }

}  // namespace cryptensor::protocol
