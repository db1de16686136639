# SPDX-License-Identifier: MIT
"""Time, rounds and bytes of ReLU, alone and with the truncation of a product, dealing included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from .. import session
from ..launch import launch
from .report import median_seconds

TITLE = "ReLU, bytes per element"
SIZES = (1, 1_000, 10_000, 100_000, 1_000_000)
REPETITIONS = 15
Rows = list[dict[str, Any]]


def tasks(
    sizes: Sequence[int] = SIZES, repetitions: int = REPETITIONS
) -> Iterator[tuple[str, Callable[[], Rows]]]:
    """What there is to do, by name."""
    for provider in ("first_party", "third_party"):
        for n in sizes:
            yield f"ReLU of {n:,}, {provider}", partial(_rows, n, repetitions, provider)


def measure(n: int, repetitions: int) -> Rows:
    """Runs at every party. Below the tensors, so that only the protocol is timed."""
    engine: Any = session.current().engine
    x = engine.share(engine.input(torch.randn(n) if engine.rank == 1 else [n], 1))
    w = engine.input(torch.randn(n) if engine.rank == 0 else [n], 0)
    rows = []
    for work, operand in (("relu", x), ("relu of a product", engine.mul(x, w))):
        engine.relu(operand)
        engine.reset_stats()
        engine.relu(operand)
        cost = next(row for row in engine.stats() if row["operation"] == "relu")
        seconds = median_seconds(partial(engine.relu, operand), repetitions)
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


def _rows(n: int, repetitions: int, provider: str) -> Rows:
    # The last party receives the corrections, so its figures are the larger ones.
    found = launch(measure, n, repetitions, provider=provider)[-1]
    return [{**row, "provider": provider} for row in found]
