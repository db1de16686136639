# SPDX-License-Identifier: MIT
"""Comparisons, and choices between two secrets. Results of comparisons have dtype bool.

A comparison is one sign test of the difference; >= and <= negate a strict one, which is free.
Comparisons with a public number are remembered with the value: backward formulas repeat them.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..tensor import CrypTensor, public_values
from .logic import negated
from .operands import (
    bits,
    encode_integers,
    engine_of,
    handle,
    result_dtype,
    settled,
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
    return engine.ltz(engine.difference(handle(engine, x), handle(engine, y)))


def _against_number(engine: Any, x: CrypTensor, number: float, side: str) -> Any:
    if math.isinf(number):  # a secret is never infinite
        true = (number > 0) == (side == "less")
        return encode_integers(engine, torch.full(x.shape, int(true)))
    found = x._memo.find((side, number), x._secret)
    if found is not None:
        return found
    value = _minus(engine, x._secret, number)
    bit = engine.ltz(value if side == "less" else engine.neg(value))
    return x._memo.keep((side, number), x._secret, bit)


def _minus(engine: Any, value: Any, number: float) -> Any:
    return value if number == 0 else engine.difference(value, handle(engine, number))


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


@implements(aten.eq.Tensor, aten.eq.Scalar)
def eq(x: Any, y: Any) -> CrypTensor:
    """x == y, both rounded to the precision. Cost: one equality test of 3 rounds."""
    return wrap(equal(x, y), engine_of(x, y), torch.bool)


def equal(x: Any, y: Any) -> Any:
    """The handle of the bit x == y."""
    engine = engine_of(x, y)
    if isinstance(x, CrypTensor) and not isinstance(y, torch.Tensor):
        number = float(y)
        if math.isinf(number):  # a secret is never infinite
            return encode_integers(engine, torch.zeros(x.shape))
        found = x._memo.find(("equal", number), x._secret)
        if found is not None:
            return found
        bit = engine.is_zero(_minus(engine, settled(engine, x), number))
        return x._memo.keep(("equal", number), x._secret, bit)
    return engine.is_zero(engine.difference(settled(engine, x), settled(engine, y)))


@implements(aten.ne.Tensor, aten.ne.Scalar)
def ne(x: Any, y: Any) -> CrypTensor:
    engine = engine_of(x, y)
    return wrap(negated(engine, equal(x, y)), engine, torch.bool)


@implements(aten.isnan.default, aten.isinf.default)
def is_special(x: CrypTensor) -> CrypTensor:
    """Always False: the encoding has neither NaN nor infinities."""
    return wrap(encode_integers(x._engine, torch.zeros(x.shape)), x._engine, torch.bool)


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
