# SPDX-License-Identifier: MIT
"""Seconds of one round between two parties, both sending: shared memory, Gloo, encrypted links.

What `cryptensor bench rounds` measures, beside the bars of this project.

    python benchmarks/round_trip.py [--repetitions 2000] [--json FILE]
"""

from __future__ import annotations

import tempfile

import report

import cryptensor as ct
from cryptensor.bench import round_trip

BAR_US = {1 << 10: 75.0}
BAR_GB = 1.0  # a second and core, of encrypted links


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=round_trip.REPETITIONS)
    with tempfile.TemporaryDirectory() as folder:
        ct.make_certificates(folder, 2)
        tasks = round_trip.tasks(folder, repetitions=options.repetitions)
        rows = [row for _, work in tasks for row in work()]
    for row in rows:
        row["bar us"] = BAR_US.get(row["bytes"], "") if row["transport"] == "Gloo" else ""
        row["bar GB/s"] = BAR_GB if row["transport"] == "TLS" and row["bytes"] > 1 << 20 else ""
    report.show(round_trip.TITLE, rows, options.json)


if __name__ == "__main__":
    main()
