# SPDX-License-Identifier: MIT
"""Every error that cryptensor raises. All derive from Error; no message holds a secret value.

RangeError, ShapeError and ConfigError are ValueErrors too, UnsupportedOperation is a
NotImplementedError and FileError an OSError, so that code written for plain tensors can catch the
class it knows.
"""

from __future__ import annotations

from typing import Any

from ._C import (
    AuthFailed,
    ConfigError,
    EntropyError,
    Error,
    PeerLost,
    PeerTimeout,
    ProtocolError,
    RangeError,
    SetupError,
    ShapeError,
    StoreError,
)

__all__ = [
    "AuthFailed",
    "ConfigError",
    "EntropyError",
    "Error",
    "FileError",
    "Overloaded",
    "PeerLost",
    "PeerTimeout",
    "PolicyError",
    "ProtocolError",
    "PublicSinkError",
    "RangeError",
    "RemoteError",
    "SecretLeakError",
    "SetupError",
    "ShapeError",
    "StoreError",
    "UnsupportedOperation",
]


class SecretLeakError(Error):
    """The program asked for a secret in the clear without calling reveal()."""


class PolicyError(Error):
    """A reveal that ct.policy() forbids; nothing of the value was sent."""


class PublicSinkError(Error):
    """A secret would be written into a plain tensor, which every party could read."""


class UnsupportedOperation(Error, NotImplementedError):  # noqa: N818  io's name
    """A PyTorch operation that has no secure implementation here."""


class FileError(Error, OSError):
    """A file of ct.save() that cannot be written, or that is missing, altered, mixed or foreign."""


class Overloaded(Error):  # noqa: N818  as the network errors, it says what happened
    """A service whose queue is full refuses a request; it can be tried again later."""


class RemoteError(Error):
    """Another party raised; the message carries its traceback.

    `party`, `kind`, `message` and `remote_traceback` are of the first cause, `failures` has all.
    """

    party: int
    kind: str
    message: str
    remote_traceback: str
    failures: tuple[Any, ...]
