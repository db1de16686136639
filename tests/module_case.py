# SPDX-License-Identifier: MIT
"""What a test of a module is made of: how to make it, and inputs of clear values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

_draw = torch.Generator().manual_seed(7)


def values(*shape: int) -> torch.Tensor:
    """Numbers that 16 fraction bits hold exactly, about normal."""
    drawn = torch.randn(*shape, generator=_draw, dtype=torch.float64)
    return (drawn.clamp(-3, 3) * 2**10).round() / 2**10


def positive(*shape: int) -> torch.Tensor:
    return values(*shape).abs() + 0.25


def unit(*shape: int) -> torch.Tensor:
    """Probabilities away from 0 and 1."""
    return (torch.rand(*shape, generator=_draw, dtype=torch.float64) * 0.8 + 0.1).mul(
        2**12
    ).round() / 2**12


def apart(*shape: int) -> torch.Tensor:
    """Values no two of which are close, so that every choice among them is clear."""
    count = torch.Size(shape).numel()
    order = torch.randperm(count, generator=_draw).double()
    return (order.reshape(shape) - count / 2) / 16 + 1 / 32


def signs(*shape: int) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=_draw).double() * 2 - 1


def bits(*shape: int) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=_draw).double()


def classes(count: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, count, shape, generator=_draw)


class Case(NamedTuple):
    """A module, its inputs (floats become secret, integers and bools stay public), its arguments.

    function: what is called instead of the module alone. training: is a step compared, too?
    """

    make: Callable[[], nn.Module]
    inputs: tuple[Any, ...]
    function: Callable[..., Any] = lambda model, *inputs: model(*inputs)
    training: bool = True


def with_statistics(model: nn.Module) -> nn.Module:
    """Running statistics and affine weights as after training."""
    for norm in model.modules():
        if getattr(norm, "running_var", None) is not None:
            norm.running_mean.copy_(values(*norm.running_mean.shape))
            norm.running_var.copy_(positive(*norm.running_var.shape))
        if "Norm" in type(norm).__name__ and getattr(norm, "weight", None) is not None:
            norm.weight.data.copy_(positive(*norm.weight.shape))
    return model
