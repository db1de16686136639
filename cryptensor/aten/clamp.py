# SPDX-License-Identifier: MIT
"""clamp, abs and sign: one comparison with each limit, all in one run (see piecewise.py).

Their backward formulas repeat the comparisons; the bits of the forward pass answer them.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..tensor import CrypTensor
from .comparison import maximum, minimum
from .operands import settled, unit, wants_gradient, wrap
from .piecewise import Pieces, evaluated
from .table import implements

aten = torch.ops.aten


@implements(aten.clamp.default)
def clamp(x: CrypTensor, low: float | None = None, high: float | None = None) -> CrypTensor:
    """x within [low, high]; high wins where the limits cross, as in PyTorch."""
    low = None if low is None or low == -math.inf else float(low)
    high = None if high is None or high == math.inf else float(high)
    if low is not None and high is not None:
        low = min(low, high)
    # Pieces of (value, is below low, is above high).
    pieces: list[tuple[list[float], int, int]] = [([0.0, 1.0], 0, 0)]
    thresholds = []
    if low is not None:
        pieces.insert(0, ([low], 1, 0))
        thresholds.append(low)
    if high is not None:
        pieces.append(([high], 0, 1))
        thresholds.append(high + unit(x))
    if not thresholds:
        return wrap(x._secret.rearrange(torch.clone), x._engine, x.dtype)
    values = [value for value, _, _ in pieces]
    if not wants_gradient(x):
        clamped = x._engine.piecewise(x._secret, thresholds, [values])[0]
        return wrap(clamped, x._engine, x.dtype)
    below = [[float(bit)] for _, bit, _ in pieces]
    above = [[float(bit)] for _, _, bit in pieces]
    outputs = [values] + [below] * (low is not None) + [above] * (high is not None)
    clamped, *bits = x._engine.piecewise(x._secret, thresholds, outputs)
    if low is not None:
        x._memo.keep(("less", low), x._secret, bits[0])
    if high is not None:
        x._memo.keep(("greater", high), x._secret, bits[-1])
    return wrap(clamped, x._engine, x.dtype)


@implements(aten.clamp_min.default)
def clamp_min(x: CrypTensor, low: float) -> CrypTensor:
    return clamp(x, low, None)


@implements(aten.clamp_max.default)
def clamp_max(x: CrypTensor, high: float) -> CrypTensor:
    return clamp(x, None, high)


@implements(aten.clamp_min.Tensor)
def clamp_min_tensor(x: Any, low: Any) -> CrypTensor:
    return maximum(x, low)


@implements(aten.clamp_max.Tensor)
def clamp_max_tensor(x: Any, high: Any) -> CrypTensor:
    return minimum(x, high)


@implements(aten.clamp.Tensor)
def clamp_tensors(x: Any, low: Any = None, high: Any = None) -> CrypTensor:
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


def _signs(x: CrypTensor) -> Pieces:
    """|x|, with the sign as its slope."""
    return Pieces((0.0, unit(x)), ((0, -1), (0, 1), (0, 1)), ((-1,), (0,), (1,)))


@implements(aten.abs.default)
def absolute(x: CrypTensor) -> CrypTensor:
    """|x|."""
    if wants_gradient(x):
        settled_x = settled(x._engine, x)
        return wrap(evaluated(x, settled_x, _signs(x), keep=True), x._engine, x.dtype)
    outputs = [[[0.0, -1.0], [0.0, 1.0]]]
    return wrap(x._engine.piecewise(x._secret, [0.0], outputs)[0], x._engine, x.dtype)


@implements(aten.sign.default, aten.sgn.default)
def sign(x: CrypTensor) -> CrypTensor:
    """-1, 0 or 1, by the value rounded to the precision."""
    found = x._memo.find(_signs(x), x._secret)
    if found is None:
        slopes = [[float(c) for c in part] for part in _signs(x).slopes]
        thresholds = list(_signs(x).thresholds)
        found = x._engine.piecewise(settled(x._engine, x), thresholds, [slopes])[0]
    return wrap(found, x._engine, x.dtype)
