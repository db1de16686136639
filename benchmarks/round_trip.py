# SPDX-License-Identifier: MIT
"""Seconds of one round between two parties, both sending: shared memory, Gloo, encrypted links.

python benchmarks/round_trip.py [--repetitions 2000] [--json FILE]
"""

from __future__ import annotations

import tempfile

import report

import cryptensor as ct
from cryptensor import session

SIZES = (16, 1 << 10, 1 << 16, 1 << 20, 8 << 20, 64 << 20)
BAR_US = {1 << 10: 75.0}
BAR_GB = 1.0  # a second and core, of encrypted links


def measure(size: int, repetitions: int) -> float:
    """Receives are posted, both parties send, both wait."""
    engine = session.current().engine
    return report.median_seconds(lambda: engine.synchronize(size), repetitions)


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=2000)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ct.make_certificates(folder, 2)
        for size in SIZES:
            repetitions = max(10, min(options.repetitions, (256 << 20) // size))
            seconds = {
                link: max(ct.launch(measure, size, repetitions, provider="first_party", **settings))
                for link, settings in report.links(folder).items()
            }
            for link, taken in seconds.items():
                rows.append(
                    {
                        "work": "round",
                        "bytes": size,
                        "transport": link,
                        "us": 1e6 * taken,
                        "bar us": BAR_US.get(size, "") if link == "Gloo" else "",
                        "over Gloo's": taken / seconds["Gloo"],
                        "GB/s each way": size / taken / 1e9,
                        "bar GB/s": BAR_GB if link == "TLS" and size > 1 << 20 else "",
                    }
                )
    report.show("Round trip", rows, options.json)


if __name__ == "__main__":
    main()
