# SPDX-License-Identifier: MIT
"""The counters of this party at one moment, and what happened between two."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

_COUNTED = ("rounds", "bytes_sent", "bytes_received", "dealer_bytes", "wait_seconds")


class Counters(NamedTuple):
    rounds: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dealer_bytes: int = 0
    wait_seconds: float = 0.0
    seconds: float = 0.0

    @classmethod
    def now(cls, engine: Any) -> Counters:
        rows = engine.stats()
        sums = (sum(row[name] for row in rows) for name in _COUNTED)
        return cls._make([*sums, time.perf_counter()])

    def plus(self, other: Counters) -> Counters:
        return Counters._make(a + b for a, b in zip(self, other, strict=True))

    def minus(self, other: Counters) -> Counters:
        return Counters._make(a - b for a, b in zip(self, other, strict=True))


NOTHING = Counters()
