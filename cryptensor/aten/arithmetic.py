# SPDX-License-Identifier: MIT
"""Sums, products and powers, elementwise and along dimensions.

Public numbers and plain tensors cost no communication. A product keeps its extra fraction bits
until an operation needs them gone.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor, public_values
from . import logic
from .operands import engine_of, factor, handle, quotient_dtype, result_dtype, wrap
from .table import implements

aten = torch.ops.aten
Dims = list[int] | None


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
    return wrap(engine.add(handle(engine, x), _scaled(engine, y, alpha)), engine, dtype)


@implements(aten.sub.Tensor, aten.sub.Scalar)
def sub(x: Any, y: Any, alpha: float = 1) -> CrypTensor:
    engine = engine_of(x, y)
    difference = engine.sub(handle(engine, x), _scaled(engine, y, alpha))
    return wrap(difference, engine, result_dtype(x, y))


@implements(aten.rsub.Tensor, aten.rsub.Scalar)
def rsub(x: Any, y: Any, alpha: float = 1) -> CrypTensor:
    return sub(y, x, alpha)


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
                return wrap(engine.scale(handle(engine, secret), number), engine, dtype)
    return wrap(engine.mul(factor(engine, x), factor(engine, y)), engine, dtype)


@implements(aten.div.Tensor, aten.div.Scalar)
def div(x: Any, y: Any) -> CrypTensor:
    """x / y for a public y, as a product with 1 / y. Raises UnsupportedOperation for a secret y."""
    engine = engine_of(x, y)
    dtype = quotient_dtype(x, y)
    number = public_number(y, x)
    if number is not None:
        if number == 0:
            raise ZeroDivisionError("division of a secret by 0")
        if isinstance(x, CrypTensor):
            return wrap(engine.scale(handle(engine, x), 1.0 / number), engine, dtype)
    if isinstance(y, CrypTensor):
        if not y.is_public:
            raise UnsupportedOperation("aten.div by a secret: only a public divisor is supported")
        y = public_values(y)
    inverse = torch.as_tensor(y, dtype=torch.float64).reciprocal()
    if torch.isinf(inverse).any():
        raise ZeroDivisionError("division of a secret by a tensor that contains 0")
    return wrap(engine.mul(factor(engine, x), handle(engine, inverse)), engine, dtype)


@implements(aten.pow.Tensor_Scalar)
def pow_scalar(x: CrypTensor, exponent: float) -> CrypTensor:
    """x ** n for an integer n >= 0, by repeated squaring: log2(n) products one after another."""
    if exponent != int(exponent) or exponent < 0:
        raise UnsupportedOperation(
            f"aten.pow of a secret with exponent {exponent}: it must be an integer from 0"
        )
    if exponent == 0:
        engine = x._engine
        return wrap(engine.public(torch.ones(x.shape, dtype=torch.float64)), engine, x.dtype)
    if exponent == 1:
        return wrap(x._secret, x._engine, x.dtype)
    half = x if exponent < 4 else pow_scalar(x, exponent // 2)
    power = mul(half, half)
    return mul(power, x) if exponent % 2 else power


@implements(aten.square.default)
def square(x: CrypTensor) -> CrypTensor:
    return mul(x, x)


def reduced(x: CrypTensor, dims: Dims, keepdim: bool) -> Any:
    """The handle of the sum along dims; all dimensions for None or an empty list."""
    if x.dim() == 0:
        return x._secret.rearrange(torch.clone)
    return x._engine.sum(x._secret, list(dims) if dims else list(range(x.dim())), keepdim)


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
    return wrap(engine.scale(total, 1.0 / max(count, 1)), engine, dtype or x.dtype)


@implements(aten.mean.default)
def mean_all(x: CrypTensor, *, dtype: torch.dtype | None = None) -> CrypTensor:
    return mean_dims(x, dtype=dtype)


@implements(aten.cumsum.default)
def cumsum(x: CrypTensor, dim: int, *, dtype: torch.dtype | None = None) -> CrypTensor:
    return wrap(x._engine.cumsum(x._secret, dim), x._engine, _sum_dtype(x, dtype))
