// SPDX-License-Identifier: MIT
// Who hears that a thread blocks in a transport: a profiler, which this layer knows nothing of.
#pragma once

namespace cryptensor::net {

// Called on the thread that blocks, in pairs. `what` is a string constant.
struct WaitObserver {
  void (*begins)(const char* what);
  void (*ends)();
};

// For the rest of the process; the observer must live as long.
void observe_waits(const WaitObserver& observer);

}  // namespace cryptensor::net
