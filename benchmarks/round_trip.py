# SPDX-License-Identifier: MIT
"""Seconds of one round between two parties over Gloo: both send, both wait.

python benchmarks/round_trip.py [--repetitions 2000] [--json FILE]
"""

from __future__ import annotations

import report

import cryptensor as ct
from cryptensor import session

SIZES = (16, 1 << 10, 1 << 16, 1 << 20, 8 << 20)
BAR_US = {1 << 10: 75.0}


def measure(size: int, repetitions: int) -> float:
    """Receives are posted, both parties send, both wait."""
    engine = session.current().engine
    return report.median_seconds(lambda: engine.synchronize(size), repetitions)


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=2000)
    rows = []
    for size in SIZES:
        repetitions = max(20, min(options.repetitions, (256 << 20) // size))
        seconds = max(ct.launch(measure, size, repetitions, provider="first_party"))
        rows.append(
            {"work": "round", "bytes": size, "us": 1e6 * seconds, "bar us": BAR_US.get(size, "")}
        )
    report.show("Round trip", rows, options.json)


if __name__ == "__main__":
    main()
