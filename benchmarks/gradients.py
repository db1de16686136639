# SPDX-License-Identifier: MIT
"""How exact training is: the gradients of ResNet-18 at 16, 20 and 24 fraction bits.

One step on secrets in train mode beside the same step in float64: a model of party 0 with random
weights, images and random labels of party 1, cross entropy. "largest" and "mean" error are over all
gradients, "relative" is the largest as a part of the largest gradient. A ReLU whose input is nearer
to zero than its error may take the other side, and then a whole element of the gradient is there or
not: "flipped" counts those inputs, and "same sides" is the largest error against float64 with the
sides that the secret step took, which is what rounding does by itself. Seconds are those of forward
and backward the first time, opening of the weights included. Two parties that deal for themselves
(first_party).

    python benchmarks/gradients.py [--seed 0] [--json FILE]
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import report
import torch
import torch.nn.functional as F
from torch import nn

import cryptensor as ct

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
from resnet import ResNet18

PRECISIONS = (16, 20, 24)
# Width, classes, batch and side of the images.
WORK = {
    "ResNet-18": (64, 1000, 4, 32),
    "1/16 as wide": (4, 10, 2, 64),
}


def step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """Forward and backward, plain or secret: logits, gradients, inputs of the ReLUs."""
    inputs = []

    def keep(_: nn.Module, given: tuple[torch.Tensor]) -> None:
        inputs.append(given[0].detach().clone())

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(keep)
    logits = model.train()(images)
    F.cross_entropy(logits, labels).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    return {"logits": [logits.detach()], "gradients": gradients, "inputs": inputs}


class Sided(nn.Module):
    """In the place of all ReLUs of a model: takes the side that each input of a record has."""

    def __init__(self, inputs: list[torch.Tensor]) -> None:
        super().__init__()
        self.inputs = iter(inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (next(self.inputs) > 0)


def sided(model: nn.Module, inputs: list[torch.Tensor]) -> nn.Module:
    model, instead = copy.deepcopy(model), Sided(inputs)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, instead)
    return model


def measure(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """Runs at every party; the random values of the step are opened to find the errors."""
    secret_model = ct.encrypt(model, src=0)
    images, labels = ct.cryptensor(images, src=1), ct.cryptensor(labels, src=1)
    start = time.perf_counter()
    found = step(secret_model, images, labels)
    seconds = time.perf_counter() - start
    opened = {name: [x.reveal(dst=0) for x in values] for name, values in found.items()}
    return {**opened, "seconds": seconds}


def compare(name: str, seed: int) -> Iterator[dict]:
    """A row of the table for each precision."""
    width, classes, batch, side = WORK[name]
    torch.manual_seed(seed)
    model = ResNet18(classes, width).double()
    images = torch.rand(batch, 3, side, side, dtype=torch.float64)
    labels = torch.randint(classes, (batch,))
    plain = step(copy.deepcopy(model), images, labels)
    for precision in PRECISIONS:
        found = ct.launch(
            measure, model, images, labels, provider="first_party", precision=precision
        )[0]
        same = step(sided(model, found["inputs"]), images, labels)
        error = difference(found["gradients"], plain["gradients"])
        inputs = zip(found["inputs"], plain["inputs"], strict=True)
        yield {
            "work": name,
            "bits": precision,
            "largest error": error.max().item(),
            "mean error": error.mean().item(),
            "relative": error.max().item() / flat(plain["gradients"]).abs().max().item(),
            "flipped": sum(int(((a > 0) != (b > 0)).sum()) for a, b in inputs),
            "same sides": difference(found["gradients"], same["gradients"]).max().item(),
            "logit error": difference(found["logits"], plain["logits"]).max().item(),
            "s": found["seconds"],
        }


def flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def difference(found: list[torch.Tensor], plain: list[torch.Tensor]) -> torch.Tensor:
    return (flat(found) - flat(plain)).abs()


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], seed=0)
    rows = [row for name in WORK for row in compare(name, options.seed)]
    report.show("Errors of a training step of ResNet-18", rows, options.json)


if __name__ == "__main__":
    main()
