# SPDX-License-Identifier: MIT
"""Layer, group and RMS normalisation: rows of mean 0 and variance 1, then weight and bias.

The normalised rows wait in the memo of 1 / sqrt(variance), from which the backward formula needs
products only. |error| <= 2^-11 times the largest normalised value.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import _C
from ..errors import ShapeError
from ..tensor import CrypTensor
from .arithmetic import divided
from .operands import engine_of, factor, handle, wants_gradient, wrap
from .table import implements

aten = torch.ops.aten
Gradients = tuple[CrypTensor | None, CrypTensor | None, CrypTensor | None]

# Under this key 1 / sqrt(variance) remembers the rows that it normalised.
ROWS = "normalised rows"


def reshaped(value: _C.Secret, shape: Any) -> _C.Secret:
    return value.rearrange(lambda s: s.reshape(list(shape)))


def standardized(
    engine: _C.Engine, rows: _C.Secret, eps: float, weight: _C.Secret | None = None
) -> tuple[_C.Secret, _C.Secret, _C.Secret]:
    """Settled rows of mean 0 and variance 1, times weight; mean and 1 / sqrt(variance + eps)."""
    normal, mean, rstd = engine.standardize(rows, eps, weight)
    return normal, reshaped(mean, rows.shape[:-1]), reshaped(rstd, rows.shape[:-1])


def remembering(x: torch.Tensor, rstd: _C.Secret, normal: _C.Secret, *others: Any) -> CrypTensor:
    """1 / sqrt(variance) as a result, with its rows where x or another wants a gradient."""
    engine = engine_of(x, *others)
    result = wrap(rstd, engine, x.dtype)
    if wants_gradient(x, *others):
        result._memo.keep(ROWS, rstd, normal)
    return result


def rows_of(engine: _C.Engine, x: Any, mean: Any, rstd: Any, count: int) -> _C.Secret:
    """The normalised rows that belong to rstd, of shape (count, length)."""
    if isinstance(rstd, CrypTensor):
        found: _C.Secret | None = rstd._memo.find(ROWS, rstd._secret)
        if found is not None:
            return found
    rows = reshaped(handle(engine, x), (count, -1))
    centred = rows if mean is None else engine.sub(rows, reshaped(handle(engine, mean), (count, 1)))
    scale = reshaped(factor(engine, rstd), (count, 1))
    return engine.settle(engine.mul(factor(engine, wrap(centred, engine, x.dtype)), scale))


def affine(engine: _C.Engine, value: _C.Secret, weight: Any, bias: Any) -> _C.Secret:
    """value * weight + bias, each a handle that broadcasts, or None."""
    if weight is not None:
        value = engine.mul(value, weight)
    return value if bias is None else engine.add(value, bias)


def mean_of_rows(engine: _C.Engine, rows: _C.Secret) -> _C.Secret:
    return divided(engine, engine.sum(rows, [1], True), max(rows.shape[1], 1))


def input_gradient(
    engine: _C.Engine, grad: _C.Secret, normal: _C.Secret, rstd: _C.Secret, centred: bool = True
) -> _C.Secret:
    """rstd * (g - mean(g) - n * mean(g * n)), row by row; three products one after another.

    centred: False leaves out mean(g), for a normalisation that subtracts no mean.
    """
    along = engine.settle(mean_of_rows(engine, engine.mul(grad, normal)))
    rest = engine.sub(grad, engine.mul(normal, along))
    if centred:
        rest = engine.sub(rest, mean_of_rows(engine, grad))
    return engine.mul(engine.settle(rest), rstd)


def _check_shape(x: torch.Tensor, shape: list[int], name: str) -> None:
    if not shape or list(x.shape[-len(shape) :]) != list(shape):
        raise ShapeError(
            f"{name}: normalized_shape is {list(shape)}; it must be the end of {list(x.shape)}"
        )


@implements(aten.native_layer_norm.default)
def layer_norm(
    x: Any, shape: list[int], weight: Any, bias: Any, eps: float
) -> tuple[CrypTensor, CrypTensor, CrypTensor]:
    """Over the last len(shape) dimensions: output, mean, 1 / sqrt(variance + eps)."""
    _check_shape(x, shape, "layer_norm")
    engine = engine_of(x, weight, bias)
    rows = reshaped(handle(engine, x), (-1, math.prod(shape)))
    offset = None if bias is None else handle(engine, bias)
    if weight is not None and not wants_gradient(x, weight, bias):
        # The gradient alone needs the rows without their weight, which take two rounds more.
        by_weight = reshaped(factor(engine, weight), (1, -1))
        normal, mean, rstd = standardized(engine, rows, eps, by_weight)
        value = affine(engine, reshaped(normal, x.shape), None, offset)
    else:
        normal, mean, rstd = standardized(engine, rows, eps)
        scale = None if weight is None else factor(engine, weight)
        value = affine(engine, reshaped(normal, x.shape), scale, offset)
    outer = [*x.shape[: x.dim() - len(shape)], *[1] * len(shape)]
    inverse = remembering(x, reshaped(rstd, outer), normal, weight, bias)
    average = wrap(reshaped(mean, outer), engine, x.dtype)
    return wrap(value, engine, x.dtype), average, inverse


@implements(aten.native_layer_norm_backward.default)
def layer_norm_backward(
    grad: Any,
    x: Any,
    shape: list[int],
    mean: Any,
    rstd: Any,
    weight: Any,
    bias: Any,
    wanted: list[bool],
) -> Gradients:
    engine = engine_of(grad, x, rstd, weight)
    for_x, for_weight = _row_gradients(grad, x, shape, mean, rstd, weight, wanted)
    for_bias = None
    if wanted[2] and bias is not None:
        g = reshaped(handle(engine, grad), (-1, math.prod(shape)))
        for_bias = wrap(reshaped(engine.sum(g, [0], False), shape), engine, x.dtype)
    return for_x, for_weight, for_bias


def _row_gradients(
    grad: Any, x: Any, shape: list[int], mean: Any, rstd: Any, weight: Any, wanted: list[bool]
) -> tuple[CrypTensor | None, CrypTensor | None]:
    """The gradients of x and weight, also for rows that were not centred (mean None)."""
    engine = engine_of(grad, x, rstd, weight)
    length = math.prod(shape)
    count = x.numel() // max(length, 1)
    normal = rows_of(engine, x, mean, rstd, count)
    g = reshaped(factor(engine, grad), (count, length))
    for_x = for_weight = None
    if wanted[0]:
        weighted = g
        if weight is not None:
            row = reshaped(factor(engine, weight), (1, length))
            weighted = engine.settle(engine.mul(g, row))
        scale = reshaped(factor(engine, rstd), (count, 1))
        result = input_gradient(engine, weighted, normal, scale, mean is not None)
        for_x = wrap(reshaped(result, x.shape), engine, x.dtype)
    if wanted[1] and weight is not None:
        total = engine.sum(engine.mul(g, normal), [0], False)
        for_weight = wrap(reshaped(total, shape), engine, x.dtype)
    return for_x, for_weight


def _per_channel(engine: _C.Engine, value: Any, dims: int) -> Any:
    return None if value is None else reshaped(factor(engine, value), (-1, *[1] * (dims - 2)))


@implements(aten.native_group_norm.default)
def group_norm(
    x: Any, weight: Any, bias: Any, n: int, channels: int, area: int, groups: int, eps: float
) -> tuple[CrypTensor, CrypTensor, CrypTensor]:
    """x of shape (n, channels, ...), normalised over each of `groups` groups of channels."""
    if groups < 1 or channels % groups:
        raise ShapeError(f"group_norm: num_groups is {groups}; it must divide {channels} channels")
    engine = engine_of(x, weight, bias)
    rows = reshaped(handle(engine, x), (n * groups, channels // groups * area))
    normal, mean, rstd = standardized(engine, rows, eps)
    value = affine(
        engine,
        reshaped(normal, x.shape),
        _per_channel(engine, weight, x.dim()),
        _per_channel(engine, bias, x.dim()),
    )
    inverse = remembering(x, reshaped(rstd, (n, groups)), normal, weight, bias)
    average = wrap(reshaped(mean, (n, groups)), engine, x.dtype)
    return wrap(value, engine, x.dtype), average, inverse


@implements(aten.native_group_norm_backward.default)
def group_norm_backward(
    grad: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    weight: Any,
    n: int,
    channels: int,
    area: int,
    groups: int,
    wanted: list[bool],
) -> Gradients:
    engine = engine_of(grad, x, rstd, weight)
    count = n * groups
    normal = rows_of(engine, x, mean, rstd, count)
    g = reshaped(factor(engine, grad), (n, channels, area))
    for_x = for_weight = for_bias = None
    if wanted[0]:
        weighted = g
        if weight is not None:
            column = reshaped(factor(engine, weight), (channels, 1))
            weighted = engine.settle(engine.mul(g, column))
        scale = reshaped(factor(engine, rstd), (count, 1))
        result = input_gradient(engine, reshaped(weighted, (count, -1)), normal, scale)
        for_x = wrap(reshaped(result, x.shape), engine, x.dtype)
    if wanted[1] and weight is not None:
        product = engine.mul(g, reshaped(normal, (n, channels, area)))
        for_weight = wrap(engine.sum(product, [0, 2], False), engine, x.dtype)
    if wanted[2]:
        for_bias = wrap(engine.sum(g, [0, 2], False), engine, x.dtype)
    return for_x, for_weight, for_bias


@implements(aten._fused_rms_norm.default)
def rms_norm(
    x: Any, shape: list[int], weight: Any, eps: float | None
) -> tuple[CrypTensor, CrypTensor]:
    """x / sqrt(mean(x^2) + eps) * weight, and 1 / sqrt(mean(x^2) + eps)."""
    _check_shape(x, shape, "rms_norm")
    engine = engine_of(x, weight)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    length = math.prod(shape)
    rows = reshaped(factor(engine, x), (-1, length))
    # eps alone would round to nothing: its root is squared to the fraction bits of a product.
    offset = engine.square(handle(engine, math.sqrt(eps)))
    squares = engine.add(mean_of_rows(engine, engine.square(rows)), offset)
    rstd = engine.power(squares, -0.5)
    if rstd.fraction_bits > engine.precision:
        rstd = engine.settle(rstd)
    normal = engine.settle(engine.mul(rows, rstd))
    outer = [*x.shape[: x.dim() - len(shape)], *[1] * len(shape)]
    inverse = remembering(x, reshaped(rstd, outer), normal, weight)
    scale = None if weight is None else factor(engine, weight)
    return wrap(affine(engine, reshaped(normal, x.shape), scale, None), engine, x.dtype), inverse


@implements(aten._fused_rms_norm_backward.default)
def rms_norm_backward(
    grad: Any, x: Any, shape: list[int], rstd: Any, weight: Any, wanted: list[bool]
) -> tuple[CrypTensor | None, CrypTensor | None]:
    return _row_gradients(grad, x, shape, None, rstd, weight, wanted)
