// SPDX-License-Identifier: MIT
// The errors of the library. The binding shows each under the same name in cryptensor.errors.
// Messages name the parameter, its value and the allowed range; they never carry a secret value.
#pragma once

#include <stdexcept>

namespace cryptensor {

// Base of all: `except cryptensor.errors.Error` catches whatever the library reports.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A value outside what the number format or the operation can represent.
class RangeError : public Error {
 public:
  using Error::Error;
};

// Shapes that do not fit together.
class ShapeError : public Error {
 public:
  using Error::Error;
};

// A setting that is unknown, contradicts another one, or asks for what this machine lacks.
class ConfigError : public Error {
 public:
  using Error::Error;
};

// A peer sent something that the protocol does not allow at this point.
class ProtocolError : public Error {
 public:
  using Error::Error;
};

// The connection to a peer is gone.
class PeerLost : public Error {
 public:
  using Error::Error;
};

// A peer is connected and did not answer in time.
class PeerTimeout : public Error {
 public:
  using Error::Error;
};

// The parties could not be brought together.
class SetupError : public Error {
 public:
  using Error::Error;
};

// A peer could not prove who it is, or its bytes were altered on the way.
class AuthFailed : public Error {
 public:
  using Error::Error;
};

// A store of correlations that is used up, missing, altered or foreign, or a program that departs
// from what was dealt for it.
class StoreError : public Error {
 public:
  using Error::Error;
};

// The operating system gave no randomness. There is no fallback.
class EntropyError : public Error {
 public:
  using Error::Error;
};

}  // namespace cryptensor
