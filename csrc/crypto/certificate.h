// SPDX-License-Identifier: MIT
// A small authority of one's own: certificates that bind a key to the name of a rank.
#pragma once

#include <string>

namespace cryptensor::crypto {

// In days from now.
struct Validity {
  int from = -1;  // clocks differ
  int to = 365;
};

// Writes <folder>/authority.pem and authority.key. The key signs certificates and belongs on none
// of the hosts that compute. ConfigError where a file cannot be written.
void make_authority(const std::string& folder, const Validity& validity);

// Writes <folder>/<name>.pem and <name>.key, signed by the authority of the folder.
void make_certificate(const std::string& folder, const std::string& name, const Validity& validity);

}  // namespace cryptensor::crypto
