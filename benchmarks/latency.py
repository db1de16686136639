# SPDX-License-Identifier: MIT
"""Latency of networks A, B, C of the tf-encrypted paper: model loaded, images to logits.

What `cryptensor bench networks` measures, beside the bars of this project.

    python benchmarks/latency.py [--repetitions 31] [--json FILE]
"""

from __future__ import annotations

import tempfile

import report

import cryptensor as ct
from cryptensor.bench import latency

BAR_MS = {
    ("network A", 1, "shared memory"): 1.5,
    ("network B", 1, "shared memory"): 6.0,
    ("network C", 1, "shared memory"): 5.0,
    ("network C", 100, "shared memory"): 200.0,
    ("network A", 1, "Gloo"): 3.0,
    ("network B", 1, "Gloo"): 6.0,
    ("network C", 1, "Gloo"): 5.0,
    ("network C", 100, "Gloo"): 200.0,
}


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=latency.REPETITIONS)
    with tempfile.TemporaryDirectory() as folder:
        ct.make_certificates(folder, 2)
        tasks = latency.tasks(folder, repetitions=options.repetitions)
        rows = [row for _, work in tasks for row in work()]
    for row in rows:
        row["bar ms"] = BAR_MS.get((row["work"], row["batch"], row["transport"]), "")
    report.show(latency.TITLE, rows, options.json)


if __name__ == "__main__":
    main()
