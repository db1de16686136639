# SPDX-License-Identifier: MIT
"""Latency of networks A, B, C of the tf-encrypted paper: model loaded, images to logits.

Two parties and a dealer in processes of their own, on random weights and images: what is measured
does not depend on the values.

    python benchmarks/latency.py [--repetitions 31] [--json FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import report
import torch

import cryptensor as ct

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import networks

BATCHES = (1, 10, 100)
BAR_MS = {("A", 1): 4.0, ("B", 1): 10.0, ("C", 1): 8.0, ("C", 100): 200.0}


def measure(name: str, repetitions: int) -> list[dict]:
    """Runs at every party."""
    torch.manual_seed(0)
    model = networks.build(name).eval()
    rows = []
    with torch.no_grad():
        secret_model = ct.encrypt(model, src=0)
        for batch in BATCHES:
            images = torch.rand(batch, 1, 28, 28)

            def infer(images: torch.Tensor = images) -> object:
                return secret_model(ct.cryptensor(images, src=1)).reveal(dst=1)

            for _ in range(3):  # the dealer learns what comes next
                infer()
            ct.reset_stats()
            infer()
            total = ct.stats().total()
            seconds = report.median_seconds(
                infer, max(5, repetitions if batch == 1 else repetitions // 3)
            )
            rows.append(
                {
                    "work": f"network {name}",
                    "batch": batch,
                    "ms": 1e3 * seconds,
                    "bar ms": BAR_MS.get((name, batch), ""),
                    "rounds": total.rounds,
                    "kB online": total.bytes_sent / 1e3,
                    "kB dealt": total.dealer_bytes / 1e3,
                }
            )
    return rows


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=31)
    rows = []
    for name in networks.NAMES:
        rows += ct.launch(measure, name, options.repetitions, provider="third_party")[1]
    report.show("Private inference", rows, options.json)


if __name__ == "__main__":
    main()
