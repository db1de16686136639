# SPDX-License-Identifier: MIT
"""The networks A, B and C of the tf-encrypted paper, in plain PyTorch.

M. Dahl et al., Private Machine Learning in TensorFlow using Secure Computation, 2018, Table 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from digits import Digits
from torch import nn

NAMES = "ABC"
_BATCH = 64
_STEPS = 200
_PEAK_RATE = 2e-3


def build(name: str) -> nn.Module:
    """An untrained network."""
    return {"A": _network_a, "B": _network_b, "C": _network_c}[name]()


def train(name: str, digits: Digits, seed: int) -> nn.Module:
    """The network after training, in eval mode; the same seed gives the same network."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(name)
        optimizer = torch.optim.Adam(model.parameters(), lr=_PEAK_RATE, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=_STEPS)
        model.train()
        for _ in range(_STEPS):
            pick = torch.randint(len(digits.train_labels), (_BATCH,))
            loss = F.cross_entropy(model(digits.train_images[pick]), digits.train_labels[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def _network_a() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def _network_b() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 5),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 16, 5),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 100),
        nn.BatchNorm1d(100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def _network_c() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, 10),
    )
