# SPDX-License-Identifier: MIT
"""exp, log, powers and roots of secrets.

The relative error is at most 2^-11, or 2 units of 2^-precision where that is more. Outside of a
function's domain it has an end value instead of NaN or infinity: log(x) for x <= 0 is that of the
smallest positive number, x^a for x <= 0 likewise, exp beyond the range is the largest number.

Rounds, and bytes an element that each of two parties sends: exp 6 and 28, log 6 and 54, roots 7 and
62, other powers 11 and 75.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .arithmetic import RECIPROCAL, mul
from .division import reciprocal
from .operands import encode, engine_of, float_dtype, lifted, result_dtype, wants_gradient, wrap
from .table import implements

aten = torch.ops.aten


# Under this key a value remembers exp(value).
EXPONENTIAL = "exp"


@implements(aten.exp.default)
def exp(x: CrypTensor) -> CrypTensor:
    found = x._memo.find(EXPONENTIAL, x._secret)
    return wrap(x._engine.exp(x._secret) if found is None else found, x._engine, float_dtype(x))


@implements(aten.exp2.default)
def exp2(x: CrypTensor) -> CrypTensor:
    """2^x = exp(x ln 2)."""
    return exp(mul(x, math.log(2)))


@implements(aten.expm1.default)
def expm1(x: CrypTensor) -> CrypTensor:
    """exp(x) - 1; |error| <= 2 units near 0."""
    raised = exp(x)
    return wrap(_plus(raised, -1.0), x._engine, raised.dtype)


def _plus(x: CrypTensor, number: float) -> Any:
    return x._engine.add(x._secret, encode(x._engine, number))


@implements(aten.log.default)
def log(x: CrypTensor) -> CrypTensor:
    """The natural logarithm for x > 0."""
    return wrap(x._engine.log(x._secret), x._engine, float_dtype(x))


@implements(aten.log2.default)
def log2(x: CrypTensor) -> CrypTensor:
    return mul(log(x), 1.0 / math.log(2))


@implements(aten.log10.default)
def log10(x: CrypTensor) -> CrypTensor:
    return mul(log(x), 1.0 / math.log(10))


@implements(aten.log1p.default)
def log1p(x: CrypTensor) -> CrypTensor:
    """log(1 + x) for x > -1; |error| <= 2 units near 0."""
    return log(wrap(_plus(x, 1.0), x._engine, float_dtype(x)))


@implements(aten.xlogy.Tensor)
def xlogy(x: Any, y: Any) -> CrypTensor:
    """x * log(y), 0 where x = 0."""
    if not isinstance(y, CrypTensor):
        # A public y: log(0) would be infinite, and 0 * inf is 0 here.
        logarithm: Any = y.log().clamp(min=-(2.0**14))
    else:
        logarithm = log(y)
    return mul(x, logarithm)


@implements(aten.sqrt.default)
def sqrt(x: CrypTensor) -> CrypTensor:
    """The root for x >= 0. Where a gradient is wanted, 1 / sqrt(x) is computed along with it."""
    engine = x._engine
    result = wrap(engine.power(x._secret, 0.5), engine, float_dtype(x))
    if wants_gradient(x):
        result._memo.keep(RECIPROCAL, result._secret, engine.power(x._secret, -0.5))
    return result


@implements(aten.rsqrt.default)
def rsqrt(x: CrypTensor) -> CrypTensor:
    """1 / sqrt(x) for x > 0."""
    return wrap(x._engine.power(x._secret, -0.5), x._engine, float_dtype(x))


@implements(aten.pow.Tensor_Scalar)
def pow_scalar(x: CrypTensor, exponent: float) -> CrypTensor:
    """x ** a for any public real a.

    An integer a >= 0 by repeated squaring, log2(a) products one after another; an integer a < 0
    the same of 1 / x. Any other a needs x > 0. Raises UnsupportedOperation for a = NaN or
    infinity.
    """
    exponent = float(exponent)
    if not math.isfinite(exponent):
        raise UnsupportedOperation(f"aten.pow: exponent is {exponent}; it must be finite")
    if exponent == 0.5:
        return sqrt(x)
    if not exponent.is_integer():
        return wrap(x._engine.power(x._secret, exponent), x._engine, float_dtype(x))
    return _whole_power(x if exponent >= 0 else reciprocal(x), abs(int(exponent)))


def _whole_power(x: CrypTensor, exponent: int) -> CrypTensor:
    if exponent == 0:
        engine = x._engine
        return wrap(engine.public(torch.ones(x.shape, dtype=torch.float64)), engine, x.dtype)
    if exponent == 1:
        return wrap(x._secret.rearrange(torch.clone), x._engine, x.dtype)
    half = x if exponent < 4 else _whole_power(x, exponent // 2)
    power = mul(half, half)
    return mul(power, x) if exponent % 2 else power


@implements(aten.square.default)
def square(x: CrypTensor) -> CrypTensor:
    return mul(x, x)


@implements(aten.pow.Scalar)
def pow_of_number(base: float, exponent: CrypTensor) -> CrypTensor:
    """base ** x = exp(x ln base) for a public base > 0 (UnsupportedOperation otherwise)."""
    if not base > 0 or math.isinf(base):
        raise UnsupportedOperation(
            f"aten.pow of the base {base} by a secret exponent: the base must be positive"
        )
    return exp(mul(exponent, math.log(base)))


@implements(aten.pow.Tensor_Tensor)
def pow_tensors(base: Any, exponent: Any) -> CrypTensor:
    """base ** exponent = exp(exponent * log(base)) for base > 0.

    The relative error grows with |exponent * log(base)|.
    """
    engine = engine_of(base, exponent)
    dtype = result_dtype(base, exponent)
    product = mul(log(lifted(engine, base)), exponent)
    return wrap(exp(product)._secret, engine, dtype)
