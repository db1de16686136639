# SPDX-License-Identifier: MIT
"""relu and the activations made of straight lines and parabolas.

All cost one run of 4 rounds, forward and backward together (see piecewise.py), take a product with
its truncation still pending, and are right on the whole range: exact in choice, one unit in value.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ConfigError
from ..tensor import CrypTensor
from . import ranges
from .comparison import gt
from .operands import (
    bits,
    engine_of,
    factor,
    handle,
    result_dtype,
    settled,
    unit,
    wants_gradient,
    wrap,
)
from .piecewise import Pieces, evaluate, gradient, times
from .table import implements

aten = torch.ops.aten

# Under these keys a result or an input remembers what belongs to [x >= 0].
SIGN = "sign of the input"
_PARTS = "sign and positive part"


@implements(aten.relu.default)
def relu(x: CrypTensor) -> CrypTensor:
    """max(x, 0). Cost: one fused truncation, sign test and select.

    Where a gradient may be asked for, the sign bit is kept with the result; it costs no message.
    """
    if not wants_gradient(x):
        return wrap(x._engine.relu(x._secret, ranges.current()), x._engine, x.dtype)
    positive, sign = x._engine.relu_with_sign(x._secret, ranges.current())
    result = wrap(positive, x._engine, x.dtype)
    result._memo.keep(SIGN, positive, sign)
    return result


@implements(aten.threshold_backward.default)
def threshold_backward(grad: Any, y: Any, threshold: float) -> CrypTensor:
    """The gradient where y > threshold, else 0.

    Behind relu its bit [x >= 0] is found again: at x = 0 it passes the gradient on.
    """
    engine = engine_of(y, grad)
    bit = None
    if isinstance(y, CrypTensor):
        if threshold == 0:
            bit = y._memo.find(SIGN, y._secret)
        if bit is None:
            bit = y._memo.find(("greater", float(threshold)), y._secret)
    if bit is None:
        bit = bits(engine, gt(y, threshold))
    return wrap(engine.mul(bit, factor(engine, grad)), engine, grad.dtype)


@implements(aten.threshold.default)
def threshold(x: CrypTensor, limit: float, value: float) -> CrypTensor:
    """x where x > limit, else value."""
    bound = limit + unit(x)
    outputs = [[[float(value)], [0.0, 1.0]], [[0.0], [1.0]]]
    result, above = x._engine.piecewise(x._secret, [bound], outputs)
    if wants_gradient(x):
        x._memo.keep(("greater", float(limit)), x._secret, above)
    return wrap(result, x._engine, x.dtype)


def _leaky(x: Any, slope: float) -> Pieces:
    return Pieces((unit(x),), ((0, slope), (0, 1)), ((slope,), (1,)))


@implements(aten.leaky_relu.default)
def leaky_relu(x: CrypTensor, slope: float = 0.01) -> CrypTensor:
    """x for x > 0, slope * x elsewhere."""
    return evaluate(x, _leaky(x, slope))


@implements(aten.leaky_relu_backward.default)
def leaky_relu_backward(grad: Any, x: Any, slope: float, is_result: bool) -> CrypTensor:
    return gradient(grad, x, _leaky(x, slope))


def _hardtanh(x: Any, low: float, high: float) -> Pieces:
    # No gradient at the limits themselves, as PyTorch has it.
    above = low + unit(x)
    return Pieces((above, high), ((low,), (0, 1), (high,)), ((0,), (1,), (0,)))


@implements(aten.hardtanh.default)
def hardtanh(x: CrypTensor, low: float = -1.0, high: float = 1.0) -> CrypTensor:
    """x within [low, high], also relu6. Raises ConfigError unless low < high."""
    if low >= high:
        raise ConfigError(f"hardtanh: min_val is {low}; it must be below max_val, {high}")
    return evaluate(x, _hardtanh(x, low, high))


@implements(aten.hardtanh_backward.default)
def hardtanh_backward(grad: Any, x: Any, low: float, high: float) -> CrypTensor:
    return gradient(grad, x, _hardtanh(x, low, high))


@implements(aten.relu6.default)
def relu6(x: CrypTensor) -> CrypTensor:
    return hardtanh(x, 0.0, 6.0)


_HARDSWISH = Pieces((-3, 3), ((0,), (0, 1 / 2, 1 / 6), (0, 1)), ((0,), (1 / 2, 1 / 3), (1,)))
_HARDSIGMOID = Pieces((-3, 3), ((0,), (1 / 2, 1 / 6), (1,)), ((0,), (1 / 6,), (0,)))


@implements(aten.hardswish.default)
def hardswish(x: CrypTensor) -> CrypTensor:
    """x * relu6(x + 3) / 6. ConfigError where 3 * precision exceeds 54 fraction bits."""
    return evaluate(x, _HARDSWISH)


@implements(aten.hardswish_backward.default)
def hardswish_backward(grad: Any, x: Any) -> CrypTensor:
    return gradient(grad, x, _HARDSWISH)


@implements(aten.hardsigmoid.default)
def hardsigmoid(x: CrypTensor) -> CrypTensor:
    """relu6(x + 3) / 6."""
    return evaluate(x, _HARDSIGMOID)


@implements(aten.hardsigmoid_backward.default)
def hardsigmoid_backward(grad: Any, x: Any) -> CrypTensor:
    return gradient(grad, x, _HARDSIGMOID)


def _softshrink(x: Any, width: float, jump: float) -> Pieces:
    above = width + unit(x)
    values = ((width - jump, 1), (0,), (jump - width, 1))
    return Pieces((-width, above), values, ((1,), (0,), (1,)))


def _check_width(name: str, width: float) -> None:
    if width < 0:
        raise ConfigError(f"{name}: lambd is {width}; it must be at least 0")


@implements(aten.softshrink.default)
def softshrink(x: CrypTensor, width: float = 0.5) -> CrypTensor:
    """x moved towards 0 by width, 0 within it."""
    _check_width("softshrink", float(width))
    return evaluate(x, _softshrink(x, float(width), 0.0))


@implements(aten.softshrink_backward.default)
def softshrink_backward(grad: Any, x: Any, width: float) -> CrypTensor:
    return gradient(grad, x, _softshrink(x, float(width), 0.0))


@implements(aten.hardshrink.default)
def hardshrink(x: CrypTensor, width: float = 0.5) -> CrypTensor:
    """x, but 0 within [-width, width]."""
    _check_width("hardshrink", float(width))
    return evaluate(x, _softshrink(x, float(width), float(width)))


@implements(aten.hardshrink_backward.default)
def hardshrink_backward(grad: Any, x: Any, width: float) -> CrypTensor:
    return gradient(grad, x, _softshrink(x, float(width), float(width)))


@implements(aten._prelu_kernel.default)
def prelu(x: Any, weight: Any) -> CrypTensor:
    """x for x >= 0, weight * x elsewhere. Cost: one relu and one product."""
    engine = engine_of(x, weight)
    value = settled(engine, x)
    positive, sign = engine.relu_with_sign(value)
    negative = engine.sub(value, positive)
    if isinstance(x, CrypTensor) and wants_gradient(x, weight):
        x._memo.keep(_PARTS, x._secret, (sign, negative))
    result = engine.add(positive, engine.mul(negative, factor(engine, weight)))
    return wrap(result, engine, result_dtype(x, weight))


@implements(aten._prelu_kernel_backward.default)
def prelu_backward(grad: Any, x: Any, weight: Any) -> tuple[CrypTensor, CrypTensor]:
    engine = engine_of(grad, x, weight)
    parts = x._memo.find(_PARTS, x._secret) if isinstance(x, CrypTensor) else None
    if parts is None:
        value = settled(engine, x)
        positive, sign = engine.relu_with_sign(value)
        parts = sign, engine.sub(value, positive)
    sign, negative = parts
    w = handle(engine, weight)
    slope = engine.add(w, engine.mul(sign, engine.sub(handle(engine, 1.0), w)))
    dtype = result_dtype(x, weight)
    return times(engine, grad, slope, dtype), times(engine, grad, negative, dtype)
