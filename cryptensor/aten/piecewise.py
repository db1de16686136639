# SPDX-License-Identifier: MIT
"""Functions that are polynomials between public breakpoints, with their slopes.

One protocol run of 4 rounds compares with all breakpoints and evaluates the value. Where a
gradient may be asked for, the slope comes out of the same run and waits in the input's memo: a
backward pass compares nothing. The choice of the piece is exact, the value is off by one unit. Each
of two parties sends 12 bytes an element for one breakpoint and 18 for two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import _C
from ..tensor import CrypTensor
from .operands import engine_of, factor, lifted, wants_gradient, wrap

Coefficients = tuple[float, ...]


@dataclass(frozen=True)
class Pieces:
    """Coefficients [c0, c1, ...] of value and slope on each piece.

    Piece 0 is x < thresholds[0], piece p is thresholds[p-1] <= x < thresholds[p]. It is its own
    key in a memo.
    """

    thresholds: tuple[float, ...]
    values: tuple[Coefficients, ...]
    slopes: tuple[Coefficients, ...]


def _coefficients(parts: tuple[Coefficients, ...]) -> list[list[float]]:
    return [[float(c) for c in part] for part in parts]


def evaluate(x: CrypTensor, pieces: Pieces) -> CrypTensor:
    """The value of the pieces at x; keeps the slope where a gradient is wanted."""
    return wrap(evaluated(x, x._secret, pieces, wants_gradient(x)), x._engine, x.dtype)


def evaluated(x: CrypTensor, value: _C.Secret, pieces: Pieces, keep: bool) -> _C.Secret:
    """As evaluate(), at a handle that stands for x, such as a settled one."""
    thresholds, values = list(pieces.thresholds), _coefficients(pieces.values)
    if not keep:
        return x._engine.piecewise(value, thresholds, [values])[0]
    outputs = [values, _coefficients(pieces.slopes)]
    result, slope = x._engine.piecewise(value, thresholds, outputs)
    x._memo.keep(pieces, x._secret, slope)
    return result


def gradient(grad: Any, x: Any, pieces: Pieces) -> CrypTensor:
    """grad * slope(x). Cost: one product; a comparison only where x was never evaluated."""
    engine = engine_of(x, grad)
    x = lifted(engine, x)
    slope = x._memo.find(pieces, x._secret)
    if slope is None:
        slopes = _coefficients(pieces.slopes)
        slope = engine.piecewise(x._secret, list(pieces.thresholds), [slopes])[0]
    return times(engine, grad, slope, x.dtype)


def times(engine: _C.Engine, grad: Any, slope: _C.Secret, dtype: Any) -> CrypTensor:
    """A gradient times a derivative that the forward pass kept."""
    if slope.fraction_bits > engine.precision:
        slope = engine.settle(slope)
    return wrap(engine.mul(slope, factor(engine, grad)), engine, dtype)
