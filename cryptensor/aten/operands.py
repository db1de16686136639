# SPDX-License-Identifier: MIT
"""Operands of an ATen operation as handles of the engine, and results as CrypTensors."""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import _C
from ..errors import ConfigError, Error, RangeError
from ..tensor import CrypTensor, Memo

# What code means by "minus infinity": the encoding has none, a distant number stands for it.
_SENTINEL = 2.0**30
# Half of what the engine adds to two precisions: either operand of a product may have it.
_SLACK_BITS = 2


def engine_of(*values: Any) -> _C.Engine:
    """The engine of the first CrypTensor among the values."""
    for value in values:
        if isinstance(value, CrypTensor):
            return value._engine
    raise Error("internal: an operation was dispatched without a CrypTensor among its operands")


def handle(engine: _C.Engine, value: Any) -> _C.Secret:
    """The handle of a CrypTensor, plain tensor or number; a product may still be untruncated."""
    if not isinstance(value, CrypTensor):
        return encode(engine, value)
    if value._engine is not engine:
        raise ConfigError("the operands belong to different sessions; encrypt both in one session")
    return value._secret


def settled(engine: _C.Engine, value: Any, slack: int = 0) -> _C.Secret:
    """Like handle(), with a pending truncation done; done once for all uses of a CrypTensor.

    slack: fraction bits above the session's precision that may stay.
    """
    secret = handle(engine, value)
    if secret.fraction_bits <= engine.precision + slack:
        return secret
    if not isinstance(value, CrypTensor):
        return engine.settle(secret)
    found: _C.Secret | None = value._memo.find("settled", secret)
    if found is None:
        found = value._memo.keep("settled", secret, engine.settle(secret))
    return found


def factor(engine: _C.Engine, value: Any) -> _C.Secret:
    """An operand of a product, which the engine takes with a few bits more than its precision."""
    return settled(engine, value, _SLACK_BITS)


def factors(engine: _C.Engine, *values: Any) -> list[_C.Secret]:
    """factor() of several operands, with what is pending in one truncation."""
    most = engine.precision + _SLACK_BITS
    pending = [
        value
        for value in values
        if isinstance(value, CrypTensor)
        and value._secret.fraction_bits > most
        and value._memo.find("settled", value._secret) is None
    ]
    if len(pending) > 1:
        done = engine.settle_together([value._secret for value in pending])
        for value, secret in zip(pending, done, strict=True):
            value._memo.keep("settled", value._secret, secret)
    return [factor(engine, value) for value in values]


def encode(engine: _C.Engine, value: Any) -> _C.Secret:
    """A plain tensor or number as a handle of public value; integers keep no fraction bits."""
    if not isinstance(value, torch.Tensor):
        if isinstance(value, float) and math.isinf(value):
            value = math.copysign(_SENTINEL, value)
        return engine.public(value)
    value = value.detach()
    if not value.dtype.is_floating_point and not value.dtype.is_complex:
        return encode_integers(engine, value)
    try:
        return engine.public(value)
    except RangeError:
        limits = torch.finfo(value.dtype)
        low, high = value <= limits.min, value >= limits.max  # also the infinities
        if not (low | high).any():
            raise
        return engine.public(value.masked_fill(low, -_SENTINEL).masked_fill(high, _SENTINEL))


def encode_integers(engine: _C.Engine, value: torch.Tensor) -> _C.Secret:
    """A plain integer or bool tensor as a handle with 0 fraction bits."""
    public = engine.public(value.to(torch.int64))
    if public.fraction_bits:
        public = engine.truncate(public, public.fraction_bits, "exact")
    return public


def wants_gradient(*values: Any) -> bool:
    """Will autograd ask for a gradient? Then a handler keeps what its backward formula needs."""
    return torch.is_grad_enabled() and any(
        isinstance(value, torch.Tensor) and value.requires_grad for value in values
    )


def unit(x: Any) -> float:
    """The distance of neighbouring values of x: x > t is x >= t + unit. 0 for a plain tensor."""
    if not isinstance(x, CrypTensor):
        return 0.0
    return 2.0 ** -min(x._secret.fraction_bits, x._engine.precision)


def bits(engine: _C.Engine, value: Any) -> _C.Secret:
    """Truth values or integers (CrypTensor or plain) as a handle with 0 fraction bits."""
    secret = handle(engine, value)
    if secret.fraction_bits:
        secret = engine.truncate(secret, secret.fraction_bits, "exact")
    return secret


def wrap(secret: _C.Secret, engine: _C.Engine, dtype: torch.dtype) -> CrypTensor:
    return CrypTensor(secret, engine, dtype)


def lifted(engine: _C.Engine, value: Any) -> CrypTensor:
    """A CrypTensor as it is, a plain tensor as one of public value."""
    if isinstance(value, CrypTensor):
        return value
    return wrap(handle(engine, value), engine, value.dtype)


def same_value(x: CrypTensor, secret: _C.Secret, memo: Memo | None = None) -> CrypTensor:
    """A view or alias of x; memo is given where the value is identical, element by element.

    A view of a normal tensor made in inference mode has to be a normal tensor: autograd keeps
    its version counter.
    """
    if torch.is_inference_mode_enabled() and not x.is_inference():
        with torch.inference_mode(False):
            return CrypTensor(secret, x._engine, x.dtype, memo)
    return CrypTensor(secret, x._engine, x.dtype, memo)


def result_dtype(a: Any, b: Any) -> torch.dtype:
    """The dtype of a + b by PyTorch's promotion; at least one operand is a tensor."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if a.dtype is b.dtype:
            return a.dtype
        return torch.result_type(_stand_in(a), _stand_in(b))
    tensor, number = (a, b) if isinstance(a, torch.Tensor) else (b, a)
    if tensor.dtype.is_floating_point:
        return tensor.dtype
    return torch.result_type(_stand_in(tensor), number)


def quotient_dtype(a: Any, b: Any) -> torch.dtype:
    """The dtype of a / b: never an integer."""
    dtype = result_dtype(a, b)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def float_dtype(x: torch.Tensor) -> torch.dtype:
    """The dtype of exp(x) and its like: never an integer."""
    return x.dtype if x.dtype.is_floating_point else torch.get_default_dtype()


def _stand_in(x: torch.Tensor) -> torch.Tensor:
    return torch.empty((1,) * x.dim(), dtype=x.dtype)
