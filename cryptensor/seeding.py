# SPDX-License-Identifier: MIT
"""Sessions whose every message repeats: ct.seeded(), for tests.

Only the test build of the module can draw its keys from a seed (csrc/crypto/key.h); the installed
one has no code for it, so that no setting, variable or mistake can weaken a real session.
"""

from __future__ import annotations

import hashlib

from . import _C
from .errors import ConfigError

_active: list[int] = []


class seeded:  # noqa: N801  used as a function and in `with`
    """Sessions that start from now on, or in a `with` block, draw all their randomness from `seed`.

    Whoever knows the seed can read every secret. ConfigError in every build of the module but that
    for tests (target `mutants`), for a seed that is no integer from 0 to 2^63 - 1, and at the
    start of a session that reaches beyond the loopback interface.
    """

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ConfigError(f"seed is {seed!r}; it must be an integer from 0 to 2^63 - 1")
        seed_thread(seed, 0)  # refused here, not in the middle of a start
        _C.seed_thread(None)
        _active.append(seed)

    def __enter__(self) -> seeded:
        return self

    def __exit__(self, *exception: object) -> None:
        _active.pop()


def current() -> int | None:
    """The seed for a session that starts now."""
    return _active[-1] if _active else None


def seed_thread(seed: int, rank: int) -> None:
    """The engine's keys of this thread, a rank of a session, are drawn from the seed."""
    _C.seed_thread(hashlib.sha256(f"{seed} of rank {rank}".encode()).digest()[:16])


def transcript(trace: object) -> str:
    """A digest of every frame that a rank has sent: to whom, for what, and all its bytes."""
    digest = hashlib.sha256()
    for peer, lane, operation, payload in trace.frames():  # type: ignore[attr-defined]
        digest.update(f"{peer} {lane} {operation} {len(payload)}:".encode())
        digest.update(payload)
    return digest.hexdigest()
