# SPDX-License-Identifier: MIT
"""relu and what is made of it: abs, clamp, hardtanh, relu6, leaky_relu.

relu takes a product with its truncation still pending: the engine fuses both.
"""

from __future__ import annotations

from typing import Any

import torch

from ..tensor import CrypTensor
from .comparison import gt, maximum, minimum
from .operands import bits, engine_of, factor, handle, settled, together, wrap
from .table import implements

aten = torch.ops.aten

# Under this key relu's result remembers [x >= 0].
_SIGN = "sign of the input"


@implements(aten.relu.default)
def relu(x: CrypTensor) -> CrypTensor:
    """max(x, 0). Cost: one fused truncation, sign test and select.

    Where a gradient may be asked for, the sign bit is kept with the result; it costs no message.
    """
    if not (x.requires_grad and torch.is_grad_enabled()):
        return wrap(x._engine.relu(x._secret), x._engine, x.dtype)
    positive, sign = x._engine.relu_with_sign(x._secret)
    result = wrap(positive, x._engine, x.dtype)
    result._memo.keep(_SIGN, positive, sign)
    return result


@implements(aten.threshold_backward.default)
def threshold_backward(grad: Any, y: Any, threshold: float) -> CrypTensor:
    """The gradient where y > threshold, else 0.

    Behind relu its bit [x >= 0] is found again: at x = 0 it passes the gradient on.
    """
    engine = engine_of(y, grad)
    bit = None
    if threshold == 0 and isinstance(y, CrypTensor):
        bit = y._memo.find(_SIGN, y._secret)
    if bit is None:
        bit = bits(engine, gt(y, threshold))
    return wrap(engine.mul(bit, factor(engine, grad)), engine, grad.dtype)


@implements(aten.abs.default)
def absolute(x: CrypTensor) -> CrypTensor:
    """|x| = 2 relu(x) - x."""
    engine = x._engine
    value = settled(engine, x)
    positive = engine.relu(value)
    return wrap(engine.sub(engine.add(positive, positive), value), engine, x.dtype)


@implements(aten.clamp.default)
def clamp(x: CrypTensor, low: float | None = None, high: float | None = None) -> CrypTensor:
    """x within [low, high]: low + relu(x - low) - relu(x - high), both in one run."""
    engine = x._engine
    value = settled(engine, x)
    if low is not None and high is not None:
        low = min(low, high)  # as torch.clamp: high wins where the bounds cross
        shifted = [_minus(engine, value, low), _minus(engine, value, high)]
        above_low, above_high = together(engine, shifted, engine.relu)
        rest = engine.sub(above_low, above_high)
        return wrap(engine.add(rest, handle(engine, float(low))), engine, x.dtype)
    if low is not None:
        above = engine.relu(_minus(engine, value, low))
        return wrap(engine.add(above, handle(engine, float(low))), engine, x.dtype)
    if high is not None:
        above = engine.relu(_minus(engine, value, high))
        return wrap(engine.sub(value, above), engine, x.dtype)
    return wrap(value, engine, x.dtype)


def _minus(engine: Any, value: Any, number: float) -> Any:
    return value if number == 0 else engine.sub(value, handle(engine, float(number)))


@implements(aten.clamp_min.default)
def clamp_min(x: CrypTensor, low: float) -> CrypTensor:
    return clamp(x, low, None)


@implements(aten.clamp_max.default)
def clamp_max(x: CrypTensor, high: float) -> CrypTensor:
    return clamp(x, None, high)


@implements(aten.clamp.Tensor)
def clamp_tensors(x: Any, low: Any = None, high: Any = None) -> CrypTensor:
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)


@implements(aten.hardtanh.default)
def hardtanh(x: CrypTensor, low: float = -1.0, high: float = 1.0) -> CrypTensor:
    return clamp(x, low, high)


@implements(aten.leaky_relu.default)
def leaky_relu(x: CrypTensor, slope: float = 0.01) -> CrypTensor:
    """slope * x + (1 - slope) * relu(x)."""
    engine = x._engine
    value = settled(engine, x)
    positive = engine.scale(engine.relu(value), 1.0 - slope)
    return wrap(engine.add(engine.scale(value, float(slope)), positive), engine, x.dtype)
