// SPDX-License-Identifier: MIT
// Ranks that are processes of a torch.distributed Gloo group.
#pragma once

#include <memory>

#include "net/transport.h"

namespace c10d {
class Backend;
}

namespace cryptensor::net {

// Keeps a reference to the backend. The group must serve nothing else: tags carry lanes here, and
// a timeout or abort() closes its connections.
std::shared_ptr<Transport> make_gloo_transport(c10d::Backend* backend);

}  // namespace cryptensor::net
