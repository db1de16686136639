# SPDX-License-Identifier: MIT
"""Time, rounds and bytes of ReLU, alone and with the truncation of a product, dealing included.

python benchmarks/relu.py [--repetitions 15] [--json FILE]
"""

from __future__ import annotations

import report
import torch

import cryptensor as ct
from cryptensor import session

SIZES = (1, 1_000, 10_000, 100_000, 1_000_000)
BAR_MS = {1_000_000: 40.0}


def measure(n: int, repetitions: int) -> list[dict]:
    """Runs at every party. Below the tensors, so that only the protocol is timed."""
    engine = session.current().engine
    x = engine.share(engine.input(torch.randn(n) if engine.rank == 1 else [n], 1))
    w = engine.input(torch.randn(n) if engine.rank == 0 else [n], 0)
    rows = []
    for work, operand in (("relu", x), ("relu of a product", engine.mul(x, w))):
        engine.relu(operand)
        engine.reset_stats()
        engine.relu(operand)
        cost = next(row for row in engine.stats() if row["operation"] == "relu")
        seconds = report.median_seconds(lambda operand=operand: engine.relu(operand), repetitions)
        rows.append(
            {
                "work": work,
                "elements": n,
                "ms": 1e3 * seconds,
                "rounds": cost["rounds"],
                "bytes online": cost["bytes_sent"] / n,
                "bytes dealt": cost["dealer_bytes"] / n,
            }
        )
    return rows


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=15)
    rows = []
    for provider in ("first_party", "third_party"):
        for n in SIZES:
            answers = ct.launch(measure, n, options.repetitions, provider=provider)
            # The last party receives the corrections, so its figures are the larger ones.
            for row in answers[-1]:
                bar = BAR_MS.get(n, "") if provider == "first_party" else ""
                rows.append({**row, "provider": provider, "bar ms": bar})
    report.show("ReLU, bytes per element", rows, options.json)


if __name__ == "__main__":
    main()
