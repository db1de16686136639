# SPDX-License-Identifier: MIT
"""Dropout of whole channels and RReLU, whose composites would draw from each party's own generator.

Masks and slopes come from the common coin and are public: every party knows which channels of a
secret are zero, and nothing about the others. Products with them cost no communication.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from ..aten.coin import coin
from ..errors import ConfigError, ShapeError
from ..tensor import FUNCTIONS

# What SELU tends to for distant negative inputs.
_ALPHA = 1.7580993408473766


def _kept(x: Any, p: float, name: str) -> torch.Tensor:
    """One public 0 or 1 for each channel of x, of shape (N, C, 1, ...)."""
    if not 0 <= p <= 1:
        raise ConfigError(f"{name}: p is {p}; it must be a probability from 0 to 1")
    if x.dim() < 2:
        raise ShapeError(f"{name}: the input has {x.dim()} dimensions; it must have at least 2")
    ones = torch.empty(*x.shape[:2], *[1] * (x.dim() - 2), dtype=x.dtype)
    return ones.bernoulli_(1 - p, generator=coin(x._engine))


def _returned(x: Any, result: Any, inplace: bool) -> Any:
    return x.copy_(result) if inplace else result


def _by_channel(name: str, unbatched: int) -> Callable[..., Any]:
    """F.dropout1d, 2d, 3d. unbatched: the dimensions of an input without a batch, 0 for none."""

    def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        x = input.unsqueeze(0) if input.dim() == unbatched else input
        mask = _kept(x, p, name)
        if not training:
            return input
        result = x * (mask / (1 - p) if p < 1 else mask)
        return _returned(input, result.reshape(input.shape), inplace)

    return dropout


def _feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:
    mask = _kept(input, p, "feature_alpha_dropout")
    if not training or p == 0:
        return input
    if p == 1:
        return _returned(input, input * mask, inplace)
    scale = 1 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    offset = (mask - 1 + p) * (_ALPHA * scale)
    return _returned(input, input * (mask * scale) + offset, inplace)


def _rrelu(
    input: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Any:
    """Leaky ReLU with public slopes: a random one for each element in training, else the mean."""
    if not lower <= upper:
        raise ConfigError(f"rrelu: lower is {lower}; it must be at most upper, which is {upper}")
    if not training:
        return F.leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = torch.empty(input.shape, dtype=input.dtype)
    slopes.uniform_(lower, upper, generator=coin(input._engine))
    # The input before it is overwritten.
    x = input.clone() if inplace else input
    return _returned(input, x * slopes + x.relu() * (1 - slopes), inplace)


for _function, _caught in (
    (F.dropout1d, _by_channel("dropout1d", 2)),
    (F.dropout2d, _by_channel("dropout2d", 0)),
    (F.dropout3d, _by_channel("dropout3d", 4)),
    (torch.feature_dropout, _by_channel("feature_dropout", 0)),
    (torch.feature_dropout_, lambda x, p, train: _by_channel("feature_dropout", 0)(x, p, train, 1)),
    (F.feature_alpha_dropout, _feature_alpha_dropout),
    (torch.feature_alpha_dropout, _feature_alpha_dropout),
    (
        torch.feature_alpha_dropout_,
        lambda x, p, train: _feature_alpha_dropout(x, p, train, True),
    ),
    (F.rrelu, _rrelu),
    (torch.rrelu, _rrelu),
    (torch.rrelu_, functools.partial(_rrelu, inplace=True)),
):
    FUNCTIONS[_function] = _caught
