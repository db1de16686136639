# SPDX-License-Identifier: MIT
"""Secrets for tests of the front end, and how far results may be from float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from cryptensor.data import cryptensor, to_tensor
from cryptensor.tensor import CrypTensor

UNIT = 2.0**-16


class Case(NamedTuple):
    """A function of inputs; |error| <= bound + max(relative * |result|, units of 2^-16)."""

    inputs: tuple[torch.Tensor, ...]
    function: Callable
    bound: float = 0.0
    relative: float = 0.0
    units: float = 0.0

    def check(self, name: str, got: torch.Tensor) -> None:
        expected = self.function(*self.inputs)
        assert got.shape == expected.shape, name
        assert got.dtype == expected.dtype, name
        if not expected.numel():
            return
        error = (got.double() - expected.double()).abs()
        allowed = expected.double().abs() * self.relative
        allowed = torch.maximum(allowed, torch.tensor(self.units * UNIT)) + self.bound + 1e-12
        worst = int((error - allowed).argmax())
        assert bool((error <= allowed).all()), (
            f"{name}: {got.flatten()[worst]} for {expected.flatten()[worst]}"
        )


def shared(values, dtype=torch.float64):
    """Additive shares: what one party knows in the clear it would compute alone."""
    owned = cryptensor(values, dtype=dtype)
    return CrypTensor(owned._engine.share(owned._secret), owned._engine, dtype)


def secret_in(engine, values, dtype=torch.float64):
    return CrypTensor(engine.input(to_tensor(values), 0), engine, dtype)


def encodable(values):
    return (torch.as_tensor(values, dtype=torch.float64) * 2**16).round() / 2**16


def weights_like(y):
    """An uneven gradient, the same for secret and plain."""
    return torch.linspace(-1, 1, max(y.numel(), 1), dtype=torch.float64).reshape(y.shape) + 0.5


def gradients(inputs, function, before_backward=lambda: None):
    inputs = [x.requires_grad_() for x in inputs]
    y = function(*inputs)
    loss = (y * weights_like(y)).sum()
    before_backward()
    loss.backward()
    return [x.grad for x in inputs]
