// SPDX-License-Identifier: MIT
// Encrypted links between hosts. A frame travels behind its size, 8 bytes; TLS gives records that
// are neither read, altered, replayed nor put in another order.
#pragma once

#include <memory>

#include "net/tls_meeting.h"
#include "net/transport.h"

namespace cryptensor::net {

// Connects to all peers first; see connect_all().
std::shared_ptr<Transport> make_tls_transport(const TlsContext& context, const Meeting& meeting);

}  // namespace cryptensor::net
