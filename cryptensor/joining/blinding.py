# SPDX-License-Identifier: MIT
"""Identifiers as points of Ed25519's group of prime order, times a secret of this party.

libsodium, by PyNaCl, maps to the curve (Elligator 2, then the cofactor) and multiplies in constant
time, and it refuses a peer's bytes that are no point of the group.
"""

from __future__ import annotations

import hashlib
from typing import Any

from .. import _C
from ..errors import ProtocolError

POINT_BYTES = 32
_DOMAIN = b"cryptensor private set intersection 1\0"


def bindings() -> Any:
    """PyNaCl's functions. Raises ImportError naming the extra that brings it."""
    try:
        import nacl.bindings as found
    except ImportError as error:
        raise ImportError(
            "intersect() and join() need PyNaCl: pip install 'cryptensor[join]'"
        ) from error
    return found


class Blinding:
    """A secret scalar for one intersection."""

    def __init__(self) -> None:
        self._nacl = bindings()
        self._scalar = self._nacl.crypto_core_ed25519_scalar_reduce(_C.random_bytes(64))

    def of_identifier(self, identifier: bytes) -> bytes:
        digest = hashlib.sha512(_DOMAIN + identifier).digest()[:POINT_BYTES]
        point = self._nacl.crypto_core_ed25519_from_uniform(digest)
        blinded: bytes = self._nacl.crypto_scalarmult_ed25519_noclamp(self._scalar, point)
        return blinded

    def of_point(self, point: bytes, party: int) -> bytes:
        """Raises ProtocolError for bytes of `party` that are no point of the group."""
        try:
            blinded: bytes = self._nacl.crypto_scalarmult_ed25519_noclamp(self._scalar, point)
            return blinded
        except Exception as error:
            raise ProtocolError(f"party {party} sent what is no point of the curve") from error
