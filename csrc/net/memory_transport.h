// SPDX-License-Identifier: MIT
// Ranks that are threads of one process.
#pragma once

#include <memory>

#include "net/transport.h"

namespace cryptensor::net {

// The meeting point. Transports keep what they need of it alive.
class MemoryHub {
 public:
  explicit MemoryHub(int size);
  std::shared_ptr<Transport> transport(int rank);
  void abort(int rank);  // as transport(rank)->abort()

  class Exchange;

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace cryptensor::net
