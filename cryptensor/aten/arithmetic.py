# SPDX-License-Identifier: MIT
"""Sums and products, elementwise and along dimensions.

Public numbers and plain tensors cost no communication. A product keeps its extra fraction bits
until an operation needs them gone.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import _C
from ..errors import UnsupportedOperation
from ..tensor import CrypTensor, public_values
from . import logic
from .operands import engine_of, factor, factors, handle, result_dtype, settled, wrap
from .table import implements

aten = torch.ops.aten
Dims = list[int] | None

# Counts whose inverse keeps a relative error of 2^-12 at 16 fraction bits.
_FEW = 32
# Values that leave no room for the fraction bits of a product.
_FAR = 2.0**26
# Under this key a value remembers 1 / value.
RECIPROCAL = "reciprocal"


def public_number(value: Any, other: Any) -> float | None:
    """The value as one number that multiplies all of `other`, None where it is not one."""
    if not isinstance(value, torch.Tensor):
        return float(value)
    if isinstance(value, CrypTensor):
        if not value.is_public or value.numel() != 1:
            return None
        value = public_values(value)
    if value.numel() != 1 or not isinstance(other, torch.Tensor) or value.dim() > other.dim():
        return None
    return float(value.detach().item())


@implements(aten.add.Tensor, aten.add.Scalar)
def add(x: Any, y: Any, alpha: float = 1) -> CrypTensor:
    engine = engine_of(x, y)
    dtype = result_dtype(x, y)
    if dtype == torch.bool:
        return logic.logical_or(x, y)
    x, y = _with_room(engine, x, y), _with_room(engine, y, x)
    return wrap(engine.add(handle(engine, x), _scaled(engine, y, alpha)), engine, dtype)


@implements(aten.sub.Tensor, aten.sub.Scalar)
def sub(x: Any, y: Any, alpha: float = 1) -> CrypTensor:
    engine = engine_of(x, y)
    difference = engine.sub(handle(engine, x), _scaled(engine, y, alpha))
    return wrap(difference, engine, result_dtype(x, y))


@implements(aten.rsub.Tensor, aten.rsub.Scalar)
def rsub(x: Any, y: Any, alpha: float = 1) -> CrypTensor:
    return sub(y, x, alpha)


def _with_room(engine: Any, x: Any, mask: Any) -> Any:
    """x, settled where the other operand is a mask of minus infinities.

    They are encoded as numbers near the end of the range, beside which nothing can be pending.
    """
    pending = isinstance(x, CrypTensor) and x._secret.fraction_bits > engine.precision
    if not pending or isinstance(mask, CrypTensor) or not isinstance(mask, torch.Tensor):
        return x
    far = mask.numel() and mask.dtype.is_floating_point and bool((mask.abs() > _FAR).any())
    return wrap(settled(engine, x), engine, x.dtype) if far else x


def _scaled(engine: Any, y: Any, alpha: float) -> Any:
    return handle(engine, y) if alpha == 1 else engine.scale(handle(engine, y), float(alpha))


@implements(aten.neg.default)
def neg(x: CrypTensor) -> CrypTensor:
    return wrap(x._engine.neg(x._secret), x._engine, x.dtype)


@implements(aten.mul.Tensor, aten.mul.Scalar)
def mul(x: Any, y: Any) -> CrypTensor:
    """x * y. Cost: nothing for a public operand, one product otherwise (a square for x * x)."""
    engine = engine_of(x, y)
    dtype = result_dtype(x, y)
    if x is y:
        return wrap(engine.square(factor(engine, x)), engine, dtype)
    for secret, other in ((x, y), (y, x)):
        if isinstance(secret, CrypTensor):
            number = public_number(other, secret)
            if number is not None and math.isfinite(number):
                return _multiple(engine, secret, number, dtype)
    return wrap(engine.mul(*factors(engine, x, y)), engine, dtype)


def _multiple(engine: Any, x: CrypTensor, number: float, dtype: torch.dtype) -> CrypTensor:
    result = wrap(engine.scale(handle(engine, x), number), engine, dtype)
    inverse = x._memo.find(RECIPROCAL, x._secret)
    if inverse is not None and number != 0:
        # The gradient of sqrt divides by twice the root.
        result._memo.keep(RECIPROCAL, result._secret, engine.scale(inverse, 1.0 / number))
    return result


def reduced(x: CrypTensor, dims: Dims, keepdim: bool) -> Any:
    """The handle of the sum along dims; all dimensions for None or an empty list."""
    if x.dim() == 0:
        return x._secret.rearrange(torch.clone)
    return x._engine.sum(x._secret, list(dims) if dims else list(range(x.dim())), keepdim)


def divided(engine: _C.Engine, total: _C.Secret, count: float) -> _C.Secret:
    """The handle of total / count for a public count.

    1 / count itself would have few digits at the session's precision: a power of two goes first,
    which only moves the point.
    """
    if count <= _FEW:
        return engine.scale(total, 1.0 / count)
    power = 2.0 ** math.floor(math.log2(count))
    return engine.scale(engine.scale(total, 1.0 / power), power / count)


def _sum_dtype(x: CrypTensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype or (x.dtype if x.dtype.is_floating_point else torch.int64)


@implements(aten.sum.dim_IntList)
def sum_dims(
    x: CrypTensor, dims: Dims = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> CrypTensor:
    return wrap(reduced(x, dims, keepdim), x._engine, _sum_dtype(x, dtype))


@implements(aten.sum.default)
def sum_all(x: CrypTensor, *, dtype: torch.dtype | None = None) -> CrypTensor:
    return sum_dims(x, dtype=dtype)


@implements(aten.mean.dim)
def mean_dims(
    x: CrypTensor, dims: Dims = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> CrypTensor:
    if not (dtype or x.dtype).is_floating_point:
        raise UnsupportedOperation(f"aten.mean of dtype {x.dtype}: call .float() first")
    engine = x._engine
    total = reduced(x, dims, keepdim)
    count = x.numel() // max(math.prod(total.shape), 1)
    return wrap(divided(engine, total, max(count, 1)), engine, dtype or x.dtype)


@implements(aten.mean.default)
def mean_all(x: CrypTensor, *, dtype: torch.dtype | None = None) -> CrypTensor:
    return mean_dims(x, dtype=dtype)


@implements(aten.cumsum.default)
def cumsum(x: CrypTensor, dim: int, *, dtype: torch.dtype | None = None) -> CrypTensor:
    return wrap(x._engine.cumsum(x._secret, dim), x._engine, _sum_dtype(x, dtype))
