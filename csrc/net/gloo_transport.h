// SPDX-License-Identifier: MIT
// Ranks that are processes of a torch.distributed Gloo group.
#pragma once

#include <memory>

#include "net/transport.h"

namespace c10d {
class Backend;
}

namespace cryptensor::net {

// Keeps a reference to the backend. The group must serve nothing else: tags carry lanes here, a
// timeout or abort() closes the connections of the whole group, and Gloo ends the process when a
// message is longer than the receive it meets. Frames of this transport never are, whatever their
// sizes and those expected; a send by other means with the tag of a lane could be.
std::shared_ptr<Transport> make_gloo_transport(c10d::Backend* backend);

}  // namespace cryptensor::net
