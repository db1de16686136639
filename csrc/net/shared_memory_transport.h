// SPDX-License-Identifier: MIT
// Ranks that are processes of one user on one host. A frame travels behind its size, 8 bytes,
// through memory that its two ranks share and nobody else has.
#pragma once

#include <memory>

#include "net/shared_memory_meeting.h"
#include "net/transport.h"

namespace cryptensor::net {

// A peer that ends is lost at once; what it had sent still arrives.
std::shared_ptr<Transport> make_shared_memory_transport(std::vector<SharedLink> links, int rank);

}  // namespace cryptensor::net
