# SPDX-License-Identifier: MIT
"""The engine of three parties without a dealer beside that of two and a dealer: time and bytes.

Three processes of one thread each on this host, either way. Operands and weights are secret, and
shared before; network B is that of the tf-encrypted paper on one image, from the image to the
logits, the model loaded.

    python benchmarks/replicated.py [--repetitions 15] [--json FILE]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import report
import torch

import cryptensor as ct
from cryptensor import session

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import networks

ELEMENTS, SIDE = 100_000, 1024
PROCESSES = "3 processes on one host with the dealer, one thread each"
BAR_MS = {"ReLU of 10^5": 60.0, "matmul 1024": 350.0, "network B": 80.0}


def works() -> dict[str, Callable[[], object]]:
    """By name: what is timed. Each call starts from values that were never used before."""
    engine = session.current().engine

    def shared(*shape: int) -> object:
        mine = torch.randn(shape) if engine.rank == 0 else list(shape)
        return engine.share(engine.input(mine, 0))

    flat, left, right = shared(ELEMENTS), shared(SIDE, SIDE), shared(SIDE, SIDE)
    model = ct.encrypt(networks.build("B").eval(), src=0)
    image = torch.rand(1, 1, 28, 28)
    return {
        "ReLU of 10^5": lambda: engine.relu(flat),
        "mul of 10^5": lambda: engine.settle(engine.mul(flat.copy(), flat.copy())),
        "matmul 1024": lambda: engine.settle(engine.matmul(left.copy(), right.copy())),
        "network B": lambda: model(ct.cryptensor(image, src=1)).reveal(dst=1),
    }


def measure(repetitions: int) -> list[dict]:
    """Runs at every party."""
    torch.manual_seed(0)
    rows = []
    with torch.no_grad():
        for name, work in works().items():
            for _ in range(3):  # the dealer learns what comes next
                work()
            ct.reset_stats()
            work()
            total = ct.stats().total()
            rows.append(
                {
                    "work": name,
                    "ms": 1e3 * report.median_seconds(work, repetitions),
                    "rounds": total.rounds,
                    "KB sent": total.bytes_sent / 1e3,
                    "KB dealt": total.dealer_bytes / 1e3,
                }
            )
    return rows


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=15)
    rows = []
    for engine in ("replicated", "additive"):
        answers = ct.launch(measure, options.repetitions, engine=engine)
        for of_parties in zip(*answers, strict=True):
            # Of each figure the largest of a party.
            most = {key: max(row[key] for row in of_parties) for key in of_parties[0]}
            bar = BAR_MS.get(most["work"], "") if engine == "replicated" else ""
            rows.append({**most, "engine": engine, "bar ms": bar})
    report.show("Replicated and additive", rows, options.json, parties=PROCESSES)


if __name__ == "__main__":
    main()
