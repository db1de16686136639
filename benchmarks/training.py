# SPDX-License-Identifier: MIT
"""Training steps on secrets: gradients to zero, forward, loss, backward, step.

Two parties in two processes that deal for themselves (first_party), on random data and labels of
party 1 and a model of party 0: what is measured does not depend on the values.

    python benchmarks/training.py [--repetitions 15] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable

import report
import torch
from torch import nn

import cryptensor as ct

BAR_MS = {"logistic regression 128x100, SGD": 20.0, "MLP 784-128-128-10, batch 128, SGD": 90.0}


def _logistic() -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    labels = (torch.rand(128, 1) > 0.5).float()
    return nn.Linear(100, 1), nn.BCEWithLogitsLoss(), torch.randn(128, 100), labels


def _mlp() -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    hidden = (nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
    model = nn.Sequential(*hidden, nn.Linear(128, 10))
    return model, nn.CrossEntropyLoss(), torch.rand(128, 784), torch.randint(10, (128,))


WORK: dict[str, tuple[Callable, Callable]] = {
    "logistic regression 128x100, SGD": (_logistic, lambda p: torch.optim.SGD(p, lr=0.1)),
    "logistic regression 128x100, Adam": (_logistic, torch.optim.Adam),
    "MLP 784-128-128-10, batch 128, SGD": (_mlp, lambda p: torch.optim.SGD(p, lr=0.1)),
    "MLP 784-128-128-10, batch 128, momentum": (
        _mlp,
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-4),
    ),
    "MLP 784-128-128-10, batch 128, Adam": (_mlp, torch.optim.Adam),
    "MLP 784-128-128-10, batch 128, RMSprop": (_mlp, torch.optim.RMSprop),
}


def measure(name: str, repetitions: int) -> dict:
    """Runs at every party."""
    torch.manual_seed(0)
    build, make = WORK[name]
    model, loss, rows, labels = build()
    model = ct.encrypt(model, src=0)
    optimizer = make(model.parameters())
    rows = ct.cryptensor(rows, src=1)
    labels = ct.cryptensor(labels, src=1, dtype=labels.dtype)

    def step() -> None:
        optimizer.zero_grad()
        loss(model(rows), labels).backward()
        optimizer.step()

    for _ in range(3):
        step()
    ct.reset_stats()
    step()
    total = ct.stats().total()
    ct.reset_stats()
    loss(model(rows), labels).backward()
    forward_and_backward = ct.stats().total().rounds
    return {
        "work": name,
        "ms": 1e3 * report.median_seconds(step, repetitions),
        "bar ms": BAR_MS.get(name, ""),
        "rounds": total.rounds,
        "of the step": total.rounds - forward_and_backward,
        "kB online": total.bytes_sent / 1e3,
        "kB dealt": total.dealer_bytes / 1e3,
    }


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=15)
    rows = [
        ct.launch(measure, name, options.repetitions, provider="first_party")[1] for name in WORK
    ]
    report.show("Training steps", rows, options.json)


if __name__ == "__main__":
    main()
