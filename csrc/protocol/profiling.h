// SPDX-License-Identifier: MIT
// Events for torch.profiler: which operation runs, and when it waits for a peer. Names only.
#pragma once

namespace cryptensor::protocol {

// An event "cryptensor::<name>". In pairs, nested, on one thread. Costs next to nothing while no
// profiler runs.
void begin_record(const char* name);
void end_record();

}  // namespace cryptensor::protocol
