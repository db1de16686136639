# SPDX-License-Identifier: MIT
"""Latency of networks A, B, C of the tf-encrypted paper: model loaded, images to logits.

Two parties and a dealer in processes of their own, on random weights and images: what is measured
does not depend on the values.

    python benchmarks/latency.py [--repetitions 31] [--json FILE]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import report
import torch

import cryptensor as ct

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import networks

BATCHES = (1, 10, 100)
BAR_MS = {
    ("A", 1, "shared memory"): 1.5,
    ("B", 1, "shared memory"): 6.0,
    ("C", 1, "shared memory"): 5.0,
    ("C", 100, "shared memory"): 200.0,
    ("A", 1, "Gloo"): 3.0,
    ("B", 1, "Gloo"): 6.0,
    ("C", 1, "Gloo"): 5.0,
    ("C", 100, "Gloo"): 200.0,
}


def measure(name: str, link: str, repetitions: int) -> list[dict]:
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
                    "transport": link,
                    "ms": 1e3 * seconds,
                    "bar ms": BAR_MS.get((name, batch, link), ""),
                    "rounds": total.rounds,
                    "kB online": total.bytes_sent / 1e3,
                    "kB dealt": total.dealer_bytes / 1e3,
                }
            )
    return rows


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=31)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ct.make_certificates(folder, 2)
        for name in networks.NAMES:
            for link, settings in report.links(folder).items():
                rows += ct.launch(measure, name, link, options.repetitions, **settings)[1]
    report.show("Private inference", rows, options.json)


if __name__ == "__main__":
    main()
