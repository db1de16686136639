# SPDX-License-Identifier: MIT
"""Latency of networks A, B, C of the tf-encrypted paper: model loaded, images to logits.

Two parties and a dealer in processes of their own, on random weights and images: what is measured
does not depend on the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from ..data import cryptensor
from ..example_programs import example_program
from ..launch import launch
from ..nn import encrypt
from ..profiler import reset_stats, stats
from .report import links, median_seconds

TITLE = "Private inference"
NETWORKS = "ABC"
BATCHES = (1, 10, 100)
REPETITIONS = 31
Rows = list[dict[str, Any]]


def tasks(
    certificates: str,
    networks: str = NETWORKS,
    batches: Sequence[int] = BATCHES,
    repetitions: int = REPETITIONS,
) -> Iterator[tuple[str, Callable[[], Rows]]]:
    """What there is to do, by name; `certificates` is a folder of make_certificates()."""
    for name in networks:
        for link, settings in links(certificates).items():
            work = partial(launch, measure, name, link, tuple(batches), repetitions, **settings)
            yield f"network {name}, {link}", partial(_of_party_1, work)


def _of_party_1(work: Callable[[], Any]) -> Rows:
    rows: Rows = work()[1]
    return rows


def measure(name: str, link: str, batches: Sequence[int], repetitions: int) -> Rows:
    """Runs at every party. Fewer repetitions for larger batches."""
    torch.manual_seed(0)
    model = example_program("networks").build(name).eval()
    rows = []
    with torch.no_grad():
        secret_model = encrypt(model, src=0)
        for batch in batches:
            images = torch.rand(batch, 1, 28, 28)

            def infer(images: torch.Tensor = images) -> object:
                return secret_model(cryptensor(images, src=1)).reveal(dst=1)

            for _ in range(3):  # the dealer learns what comes next
                infer()
            reset_stats()
            infer()
            total = stats().total()
            times = repetitions if batch == 1 else max(min(5, repetitions), repetitions // 3)
            rows.append(
                {
                    "work": f"network {name}",
                    "batch": batch,
                    "transport": link,
                    "ms": 1e3 * median_seconds(infer, times),
                    "rounds": total.rounds,
                    "kB online": total.bytes_sent / 1e3,
                    "kB dealt": total.dealer_bytes / 1e3,
                }
            )
    return rows
