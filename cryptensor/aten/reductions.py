# SPDX-License-Identifier: MIT
"""Variance, norms and products of all elements along dimensions."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import _C
from ..errors import ShapeError, UnsupportedOperation
from ..tensor import CrypTensor
from .arithmetic import RECIPROCAL, Dims, divided, reduced
from .clamp import absolute
from .operands import factor, float_dtype, handle, settled, wants_gradient, wrap
from .order import amax, amin
from .powers import sqrt
from .table import implements

aten = torch.ops.aten


def all_dims(x: torch.Tensor, dims: Any) -> list[int]:
    """The dimensions as numbers from 0; all of them for None or ()."""
    if dims is None or (isinstance(dims, (list, tuple)) and not dims):
        return list(range(x.dim()))
    listed = [dims] if isinstance(dims, int) else dims
    return sorted({d % max(x.dim(), 1) for d in listed})


def _count(x: torch.Tensor, dims: list[int]) -> int:
    return math.prod(x.shape[d] for d in dims) if x.dim() else 1


def _deviations(x: CrypTensor, dims: list[int]) -> tuple[_C.Secret, _C.Secret]:
    """The mean with its dimensions kept, and x - mean, settled."""
    engine = x._engine
    total = reduced(x, dims, True)
    mean = divided(engine, total, max(_count(x, dims), 1))
    return mean, settled(engine, wrap(engine.sub(x._secret, mean), engine, x.dtype))


@implements(aten.var.correction)
def var(
    x: CrypTensor, dims: Dims = None, *, correction: float | None = None, keepdim: bool = False
) -> CrypTensor:
    """The variance, unbiased unless correction says otherwise. Cost: one square."""
    return var_mean(x, dims, correction=correction, keepdim=keepdim)[0]


@implements(aten.var_mean.correction)
def var_mean(
    x: CrypTensor, dims: Dims = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[CrypTensor, CrypTensor]:
    """Variance and mean. Raises ShapeError unless more elements than correction are reduced."""
    engine = x._engine
    taken = all_dims(x, dims)
    freedom = _count(x, taken) - (1 if correction is None else correction)
    if freedom <= 0:
        raise ShapeError(
            f"var of {_count(x, taken)} elements with correction={correction}: more elements "
            "than the correction must be reduced"
        )
    mean, deviations = _deviations(x, taken)
    squares = wrap(engine.square(deviations), engine, x.dtype)
    variance = divided(engine, reduced(squares, taken, keepdim), freedom)
    if not keepdim:
        mean = mean.rearrange(lambda s: s.squeeze(tuple(taken)))
    return wrap(variance, engine, x.dtype), wrap(mean, engine, x.dtype)


@implements(aten.std.correction)
def std(
    x: CrypTensor, dims: Dims = None, *, correction: float | None = None, keepdim: bool = False
) -> CrypTensor:
    return sqrt(var(x, dims, correction=correction, keepdim=keepdim))


@implements(aten.linalg_vector_norm.default)
def vector_norm(
    x: CrypTensor,
    order: float = 2,
    dims: Dims = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> CrypTensor:
    """The norm for order 1, 2, inf or -inf; for 2, sum(x^2) must stay below 2^30."""
    engine, taken = x._engine, all_dims(x, dims)
    dtype = dtype or float_dtype(x)
    if order in (math.inf, -math.inf):
        extreme = amax if order > 0 else amin
        return wrap(extreme(absolute(x), taken, keepdim)._secret, engine, dtype)
    if order == 1:
        return wrap(reduced(absolute(x), taken, keepdim), engine, dtype)
    if order != 2:
        raise UnsupportedOperation(
            f"aten.linalg_vector_norm: ord is {order}; it must be 1, 2, inf or -inf"
        )
    squares = wrap(engine.square(factor(engine, x)), engine, dtype)
    total = reduced(squares, taken, keepdim)
    result = wrap(engine.power(total, 0.5), engine, dtype)
    if wants_gradient(x):
        result._memo.keep(RECIPROCAL, result._secret, engine.power(total, -0.5))
    return result


Level = tuple[_C.Secret, _C.Secret]


def product_tree(engine: _C.Engine, values: _C.Secret) -> tuple[_C.Secret, list[Level]]:
    """The product along dimension 0 (n >= 1) and, for each level, the factors of its pairs.

    ceil(log2(n)) products one after another. Every partial product must fit the range.
    """
    levels = []
    while (count := values.shape[0]) > 1:
        half = count // 2
        left, right = values.rearrange_many(lambda s, h=half: [s[:h], s[h : 2 * h]])
        levels.append((left, right))
        products = engine.settle(engine.mul(left, right))
        if count % 2:
            rest = values.rearrange(lambda s: s[-1:])
            products = engine.combine([products, rest], torch.cat)
        values = products
    return values, levels


def product_tree_gradient(engine: _C.Engine, grad: _C.Secret, levels: list[Level]) -> _C.Secret:
    """The gradient of every factor: the product of all others, down the tree again."""
    for left, right in reversed(levels):
        half = left.shape[0]
        pairs = grad.rearrange(lambda s, h=half: torch.cat([s[:h], s[:h]]))
        others = engine.combine([right, left], torch.cat)
        below = engine.settle(engine.mul(pairs, others))
        if grad.shape[0] > half:
            rest = grad.rearrange(lambda s, h=half: s[h:])
            below = engine.combine([below, rest], torch.cat)
        grad = below
    return grad


@implements(aten.prod.dim_int)
def prod(
    x: CrypTensor, dim: int, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> CrypTensor:
    """The product along dim; 1 for none. The gradient goes through cryptensor.functions."""
    engine = x._engine
    dtype = dtype or (x.dtype if x.dtype.is_floating_point else torch.int64)
    if x.dim() == 0:
        return wrap(x._secret.rearrange(torch.clone), engine, dtype)
    dim %= x.dim()
    if x.shape[dim] == 0:
        shape = [1 if d == dim else n for d, n in enumerate(x.shape) if d != dim or keepdim]
        return wrap(handle(engine, torch.ones(shape)), engine, dtype)
    rows = settled(engine, x).rearrange(lambda s: s.movedim(dim, 0))
    product = product_tree(engine, rows)[0].rearrange(lambda s: s.movedim(0, dim))
    if not keepdim:
        product = product.rearrange(lambda s: s.squeeze(dim))
    return wrap(product, engine, dtype)


@implements(aten.prod.default)
def prod_all(x: CrypTensor, *, dtype: torch.dtype | None = None) -> CrypTensor:
    flat = wrap(x._secret.rearrange(lambda s: s.reshape(-1)), x._engine, x.dtype)
    return prod(flat, 0, dtype=dtype)
