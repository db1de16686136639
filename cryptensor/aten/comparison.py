# SPDX-License-Identifier: MIT
"""Comparisons, secret choices and maxima. Results of comparisons have dtype bool.

A comparison is one sign test of the difference; >= and <= negate a strict one, which is free.
Comparisons with a public number are remembered with the value: backward formulas repeat them.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor, public_values
from .logic import negated
from .operands import (
    bits,
    encode_integers,
    engine_of,
    handle,
    result_dtype,
    settled,
    together,
    wrap,
)
from .table import implements

aten = torch.ops.aten


def less(x: Any, y: Any) -> Any:
    """The handle of the bit x < y."""
    engine = engine_of(x, y)
    for secret, other, side in ((x, y, "less"), (y, x, "greater")):
        if isinstance(secret, CrypTensor) and not isinstance(other, torch.Tensor):
            return _against_number(engine, secret, float(other), side)
    return engine.ltz(engine.sub(handle(engine, x), handle(engine, y)))


def _against_number(engine: Any, x: CrypTensor, number: float, side: str) -> Any:
    if math.isinf(number):  # a secret is never infinite
        true = (number > 0) == (side == "less")
        return encode_integers(engine, torch.full(x.shape, int(true)))
    found = x._memo.find((side, number), x._secret)
    if found is not None:
        return found
    value = x._secret
    if number != 0:
        value = engine.sub(value, handle(engine, number))
    bit = engine.ltz(value if side == "less" else engine.neg(value))
    return x._memo.keep((side, number), x._secret, bit)


@implements(aten.lt.Tensor, aten.lt.Scalar)
def lt(x: Any, y: Any) -> CrypTensor:
    return wrap(less(x, y), engine_of(x, y), torch.bool)


@implements(aten.gt.Tensor, aten.gt.Scalar)
def gt(x: Any, y: Any) -> CrypTensor:
    return wrap(less(y, x), engine_of(x, y), torch.bool)


@implements(aten.ge.Tensor, aten.ge.Scalar)
def ge(x: Any, y: Any) -> CrypTensor:
    engine = engine_of(x, y)
    return wrap(negated(engine, less(x, y)), engine, torch.bool)


@implements(aten.le.Tensor, aten.le.Scalar)
def le(x: Any, y: Any) -> CrypTensor:
    engine = engine_of(x, y)
    return wrap(negated(engine, less(y, x)), engine, torch.bool)


@implements(aten.ne.Tensor, aten.ne.Scalar)
def ne(x: Any, y: Any) -> CrypTensor:
    """x != y, as (x < y) + (y < x): two sign tests in one protocol run."""
    engine = engine_of(x, y)
    if isinstance(y, float) and math.isinf(y):
        return wrap(encode_integers(engine, torch.ones(x.shape)), engine, torch.bool)
    difference = engine.sub(handle(engine, x), handle(engine, y))
    below, above = together(engine, [difference, engine.neg(difference)], engine.ltz)
    return wrap(engine.add(below, above), engine, torch.bool)


@implements(aten.eq.Tensor, aten.eq.Scalar)
def eq(x: Any, y: Any) -> CrypTensor:
    different = ne(x, y)
    return wrap(negated(different._engine, different._secret), different._engine, torch.bool)


@implements(aten.isnan.default, aten.isinf.default)
def is_special(x: CrypTensor) -> CrypTensor:
    """Always False: the encoding has neither NaN nor infinities."""
    return wrap(encode_integers(x._engine, torch.zeros(x.shape)), x._engine, torch.bool)


@implements(aten.sign.default, aten.sgn.default)
def sign(x: CrypTensor) -> CrypTensor:
    engine = x._engine
    below, above = together(engine, [x._secret, engine.neg(x._secret)], engine.ltz)
    return wrap(engine.sub(above, below), engine, x.dtype)


@implements(aten.where.self)
def where(condition: Any, x: Any, y: Any) -> CrypTensor:
    """x where condition, else y. Cost: one select for a secret condition, else nothing."""
    engine = engine_of(condition, x, y)
    dtype = result_dtype(x, y) if _has_tensor(x, y) else torch.get_default_dtype()
    if isinstance(condition, CrypTensor) and condition.is_public:
        condition = public_values(condition)
    if isinstance(condition, CrypTensor):
        bit = bits(engine, condition)
        chosen = engine.select(bit, settled(engine, x), settled(engine, y))
    else:
        mask = condition.to(torch.int64)
        first = engine.mul(encode_integers(engine, mask), settled(engine, x))
        second = engine.mul(encode_integers(engine, 1 - mask), settled(engine, y))
        chosen = engine.add(first, second)
    return wrap(chosen, engine, dtype)


def _has_tensor(*values: Any) -> bool:
    return any(isinstance(value, torch.Tensor) for value in values)


@implements(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def masked_fill(x: Any, mask: Any, value: Any) -> CrypTensor:
    engine = engine_of(x, mask, value)
    if not isinstance(value, torch.Tensor):
        value = torch.tensor(value, dtype=x.dtype)  # the limits of x's dtype mean -inf and inf
    return wrap(where(mask, value, x)._secret, engine, x.dtype)


@implements(aten.maximum.default)
def maximum(x: Any, y: Any) -> CrypTensor:
    engine = engine_of(x, y)
    larger = engine.maximum(settled(engine, x), settled(engine, y))
    return wrap(larger, engine, result_dtype(x, y))


@implements(aten.minimum.default)
def minimum(x: Any, y: Any) -> CrypTensor:
    engine = engine_of(x, y)
    larger = engine.maximum(engine.neg(settled(engine, x)), engine.neg(settled(engine, y)))
    return wrap(engine.neg(larger), engine, result_dtype(x, y))


def tree_maximum(engine: Any, values: Any) -> Any:
    """The handle of the maximum along dimension 0 (n >= 1): ceil(log2(n)) runs of maximum."""
    while (count := values.shape[0]) > 1:
        half = count // 2
        pairs = values.rearrange_many(lambda s, h=half: [s[:h], s[h : 2 * h]])
        larger = engine.maximum(*pairs)
        if count % 2:
            rest = values.rearrange(lambda s: s[-1:])
            larger = engine.combine([larger, rest], torch.cat)
        values = larger
    return values.rearrange(lambda s: s[0])


@implements(aten.amax.default)
def amax(x: CrypTensor, dims: Any = (), keepdim: bool = False) -> CrypTensor:
    """The maximum along dims, all of them for (): a tree of maxima."""
    if x.numel() == 0:
        raise UnsupportedOperation("aten.amax of an empty tensor")
    if x.dim() == 0:
        return wrap(x._secret.rearrange(torch.clone), x._engine, x.dtype)
    taken = sorted({d % x.dim() for d in dims}) if dims else list(range(x.dim()))
    kept = [d for d in range(x.dim()) if d not in taken]
    shape = [x.shape[d] for d in kept]
    rows = settled(x._engine, x).rearrange(lambda s: s.permute(*taken, *kept).reshape(-1, *shape))
    largest = tree_maximum(x._engine, rows)
    if keepdim:
        full = [1 if d in taken else size for d, size in enumerate(x.shape)]
        largest = largest.rearrange(lambda s: s.reshape(full))
    return wrap(largest, x._engine, x.dtype)


@implements(aten.amin.default)
def amin(x: CrypTensor, dims: Any = (), keepdim: bool = False) -> CrypTensor:
    negative = wrap(x._engine.neg(x._secret), x._engine, x.dtype)
    smallest = amax(negative, dims, keepdim)
    return wrap(x._engine.neg(smallest._secret), x._engine, x.dtype)


@implements(aten.max.default)
def max_all(x: CrypTensor) -> CrypTensor:
    return amax(x)


@implements(aten.min.default)
def min_all(x: CrypTensor) -> CrypTensor:
    return amin(x)
