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
    """The handle of 1 / y, computed once for a value."""
    found = y._memo.find(RECIPROCAL, y._secret)
    if found is None:
        found = y._memo.keep(RECIPROCAL, y._secret, y._engine.reciprocal(y._secret))
    return found


@implements(aten.reciprocal.default)
def reciprocal(x: CrypTensor) -> CrypTensor:
    """1 / x for both signs; the relative error is at most 2^-11, or 2 units where that is more.

    1 / 0 gives a large end value, not an error.
    """
    return wrap(inverse(x), x._engine, float_dtype(x))


@implements(aten.div.Tensor, aten.div.Scalar)
def div(x: Any, y: Any) -> CrypTensor:
    """x / y, as a product with 1 / y.

    A public y costs nothing and must not contain 0 (ZeroDivisionError). A secret y costs a
    reciprocal, whose error is multiplied by x: for |y| > 32 its 2 units of 2^-precision dominate.
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
    number = public_number(x, None)
    if number is not None:
        return engine.scale(inverse_y, number)
    if inverse_y.fraction_bits > engine.precision:
        inverse_y = engine.settle(inverse_y)
    return engine.mul(factor(engine, x), inverse_y)
