# SPDX-License-Identifier: MIT
"""Trains three models on data of two parties that neither shows to the other, nor the model.

A logistic regression on the breast cancer data of scikit-learn, whose columns are split between
the parties; an MLP and a CNN on its digits, whose rows are. The training loop is PyTorch's own:
loss.backward(), optimizer.step(). Prints the accuracy on the test rows beside that of the same
loop on plain tensors with the same start and the same order of the rows.

    python examples/training.py
    python examples/training.py --tasks logistic mlp --optimizer Adam
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn

import cryptensor as ct

LABEL_OWNER = 1
TEST_ROWS = 400
MAX_LOST_ACCURACY = 0.01
SEED = 0


@dataclass(frozen=True, slots=True)
class Data:
    """Rows with their labels; `dim` is what is split between the parties, 0 rows, 1 columns."""

    train: torch.Tensor
    train_labels: torch.Tensor
    test: torch.Tensor
    test_labels: torch.Tensor
    dim: int


@dataclass(frozen=True, slots=True)
class Task:
    data: Callable[[], Data]
    build: Callable[[], nn.Module]
    loss: nn.Module
    epochs: int
    batch: int
    optimizers: dict[str, dict]


def _split(rows: torch.Tensor, labels: torch.Tensor, dim: int) -> Data:
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(SEED))
    test, train = order[:TEST_ROWS], order[TEST_ROWS:]
    return Data(rows[train], labels[train], rows[test], labels[test], dim)


def _cancer() -> Data:
    raw = load_breast_cancer()
    rows = torch.tensor(raw.data, dtype=torch.float32)
    rows = (rows - rows.mean(0)) / rows.std(0)
    return _split(rows, torch.tensor(raw.target, dtype=torch.float32).unsqueeze(1), dim=1)


def _digits() -> Data:
    raw = load_digits()
    rows = torch.tensor(raw.images / 16.0, dtype=torch.float32).unsqueeze(1)
    return _split(rows, torch.tensor(raw.target), dim=0)


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


# ---- what differs between the tasks ------------------------------------------------------------

OPTIMIZERS: dict[str, dict] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
    "Adam": {"lr": 0.01},
    "AdamW": {"lr": 0.01},
    "RMSprop": {"lr": 0.003},
}
CAREFUL = {**OPTIMIZERS, "SGD": {"lr": 0.05, "momentum": 0.9}}
TASKS = {
    "logistic": Task(_cancer, lambda: nn.Linear(30, 1), nn.BCEWithLogitsLoss(), 10, 32, OPTIMIZERS),
    "mlp": Task(_digits, _mlp, nn.CrossEntropyLoss(), 5, 64, OPTIMIZERS),
    "cnn": Task(_digits, _cnn, nn.CrossEntropyLoss(), 6, 64, CAREFUL),
}


# ---- what the parties run, and the plain run too ------------------------------------------------


def fit(
    task: Task, optimizer: str, model: nn.Module, rows: torch.Tensor, labels: torch.Tensor
) -> nn.Module:
    """An ordinary training loop: it does not know whether its tensors are secret."""
    steps = getattr(torch.optim, optimizer)(model.parameters(), **task.optimizers[optimizer])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(steps, task.epochs)
    order = torch.Generator().manual_seed(SEED)  # public: all parties take the same rows
    for _ in range(task.epochs):
        for chosen in torch.randperm(len(rows), generator=order).split(task.batch):
            steps.zero_grad()
            loss = task.loss(model(rows[chosen]), labels[chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            steps.step()
        schedule.step()
    return model.eval()


def joined(data: torch.Tensor, dim: int) -> torch.Tensor:
    """A half of each party as one secret tensor."""
    first, second = data.tensor_split(2, dim)
    return torch.cat([ct.cryptensor(first, src=0), ct.cryptensor(second, src=1)], dim)


def train(name: str, optimizer: str, model: nn.Module, data: Data) -> dict:
    """Runs at every party; the test predictions go to the owner of the labels."""
    task = TASKS[name]
    kind = data.train_labels.dtype
    labels = ct.cryptensor(data.train_labels, src=LABEL_OWNER, dtype=kind)
    start = time.perf_counter()
    secret = fit(task, optimizer, ct.encrypt(model, src=0), joined(data.train, data.dim), labels)
    seconds = time.perf_counter() - start
    with torch.no_grad():
        scores = secret(joined(data.test, data.dim)).reveal(dst=LABEL_OWNER)
    return {"scores": scores, "seconds": seconds}


# ---- what their parent does --------------------------------------------------------------------


def accuracy(scores: torch.Tensor, labels: torch.Tensor) -> float:
    if labels.is_floating_point():
        return ((scores > 0) == (labels > 0.5)).double().mean().item()
    return (scores.argmax(1) == labels).double().mean().item()


def compare(
    name: str, optimizer: str, run: Callable[..., list] = ct.launch, **options: object
) -> dict:
    """One row of the table: the plain and the secret run of a task from one start."""
    task = TASKS[name]
    data = task.data()
    torch.manual_seed(SEED)
    model = task.build()
    plain = fit(task, optimizer, copy.deepcopy(model), data.train, data.train_labels)
    with torch.no_grad():
        expected = accuracy(plain(data.test), data.test_labels)
    answers = run(train, name, optimizer, model, data, parties=2, **options)
    steps = task.epochs * -(-len(data.train) // task.batch)
    return {
        "task": name,
        "optimizer": optimizer,
        "steps": steps,
        "plain": expected,
        "secret": accuracy(answers[LABEL_OWNER]["scores"], data.test_labels),
        "ms a step": 1e3 * answers[LABEL_OWNER]["seconds"] / steps,
    }


def table(rows: list[dict]) -> Table:
    shown = Table(title="Training on secrets: accuracy on 400 test rows")
    for name in rows[0]:
        shown.add_column(name, justify="left" if name in ("task", "optimizer") else "right")
    for row in rows:
        cells = {**row, "plain": f"{row['plain']:.2%}", "secret": f"{row['secret']:.2%}"}
        cells["ms a step"] = f"{row['ms a step']:.1f}"
        shown.add_row(*map(str, cells.values()))
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="SGD")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [compare(name, options.optimizer) for name in options.tasks]
    Console().print(table(rows))
    lost = [row for row in rows if row["secret"] < row["plain"] - MAX_LOST_ACCURACY]
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
