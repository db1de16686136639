# SPDX-License-Identifier: MIT
"""Division and reciprocals. A divisor remembers its reciprocal, which its gradient needs again.

A reciprocal takes 12 rounds, and each of two parties sends 91 bytes an element.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _C
from ..tensor import CrypTensor, public_values
from .arithmetic import RECIPROCAL, public_number
from .operands import engine_of, factor, float_dtype, handle, quotient_dtype, wrap
from .table import implements

aten = torch.ops.aten


def inverse(y: CrypTensor) -> _C.Secret:
    """The handle of 1 / y with more fraction bits than the precision, computed once for a value."""
    found: _C.Secret | None = y._memo.find(RECIPROCAL, y._secret)
    if found is None:
        engine = y._engine
        value = engine.reciprocal(y._secret, max(_C.INVERSE_BITS, engine.precision))
        found = y._memo.keep(RECIPROCAL, y._secret, value)
    return found


@implements(aten.reciprocal.default)
def reciprocal(x: CrypTensor) -> CrypTensor:
    """1 / x for both signs; the relative error is at most 2^-11, or 2 units where that is more.

    1 / 0 gives a large end value, not an error.
    """
    return wrap(x._engine.reciprocal(x._secret), x._engine, float_dtype(x))


@implements(aten.div.Tensor, aten.div.Scalar)
def div(x: Any, y: Any) -> CrypTensor:
    """x / y, as a product with 1 / y; |x / y| < 2^25.

    A public y costs nothing and must not contain 0 (ZeroDivisionError). A secret y costs a
    reciprocal and two rounds; the relative error is at most 2^-11, or |x| 2^-20 and one unit.
    """
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
            return wrap(_quotient(engine, x, inverse(y)), engine, dtype)
        y = public_values(y)
    plain = torch.as_tensor(y, dtype=torch.float64).reciprocal()
    if torch.isinf(plain).any():
        raise ZeroDivisionError("division of a secret by a tensor that contains 0")
    return wrap(engine.mul(factor(engine, x), handle(engine, plain)), engine, dtype)


def _quotient(engine: _C.Engine, x: Any, inverse_y: _C.Secret) -> _C.Secret:
    return engine.quotient(handle(engine, x), inverse_y)
