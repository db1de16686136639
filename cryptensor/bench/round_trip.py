# SPDX-License-Identifier: MIT
"""Seconds of one round between two parties, both sending: shared memory, Gloo, encrypted links."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from .. import session
from ..launch import launch
from .report import links, median_seconds

TITLE = "Round trip"
SIZES = (16, 1 << 10, 1 << 16, 1 << 20, 8 << 20, 64 << 20)
REPETITIONS = 2000
_MOST_BYTES = 256 << 20
Rows = list[dict[str, Any]]


def tasks(
    certificates: str, sizes: Sequence[int] = SIZES, repetitions: int = REPETITIONS
) -> Iterator[tuple[str, Callable[[], Rows]]]:
    """What there is to do, by name; `certificates` is a folder of make_certificates()."""
    for size in sizes:
        yield f"rounds of {size:,} bytes", partial(_rows, certificates, size, repetitions)


def measure(size: int, repetitions: int) -> float:
    """Runs at every party. Receives are posted, both parties send, both wait."""
    engine: Any = session.current().engine
    return median_seconds(lambda: engine.synchronize(size), repetitions)


def _rows(certificates: str, size: int, repetitions: int) -> Rows:
    repetitions = max(min(10, repetitions), min(repetitions, _MOST_BYTES // size))
    seconds = {
        link: max(launch(measure, size, repetitions, provider="first_party", **settings))
        for link, settings in links(certificates).items()
    }
    return [
        {
            "work": "round",
            "bytes": size,
            "transport": link,
            "us": 1e6 * taken,
            "over Gloo's": taken / seconds["Gloo"],
            "GB/s each way": size / taken / 1e9,
        }
        for link, taken in seconds.items()
    ]
