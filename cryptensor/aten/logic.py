# SPDX-License-Identifier: MIT
"""Truth values: secret bits are 0/1 with no fraction bits. not is local, and/or/xor one product."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .operands import bits, encode_integers, engine_of, wrap
from .table import implements

aten = torch.ops.aten


def negated(engine: Any, bit: Any) -> Any:
    """The handle of 1 - bit."""
    return engine.sub(encode_integers(engine, torch.ones((), dtype=torch.int64)), bit)


@implements(aten.logical_not.default, aten.bitwise_not.default)
def logical_not(x: CrypTensor) -> CrypTensor:
    _expect_bool(x)
    return wrap(negated(x._engine, bits(x._engine, x)), x._engine, torch.bool)


@implements(aten.logical_and.default, aten.bitwise_and.Tensor)
def logical_and(x: Any, y: Any) -> CrypTensor:
    engine, a, b = _pair(x, y)
    return wrap(engine.mul(a, b), engine, torch.bool)


@implements(aten.logical_or.default, aten.bitwise_or.Tensor)
def logical_or(x: Any, y: Any) -> CrypTensor:
    engine, a, b = _pair(x, y)
    return wrap(engine.sub(engine.add(a, b), engine.mul(a, b)), engine, torch.bool)


@implements(aten.logical_xor.default, aten.bitwise_xor.Tensor)
def logical_xor(x: Any, y: Any) -> CrypTensor:
    engine, a, b = _pair(x, y)
    both = engine.mul(a, b)
    return wrap(engine.sub(engine.add(a, b), engine.add(both, both)), engine, torch.bool)


def _pair(x: Any, y: Any) -> tuple[Any, Any, Any]:
    _expect_bool(x)
    _expect_bool(y)
    engine = engine_of(x, y)
    return engine, bits(engine, x), bits(engine, y)


def _expect_bool(x: Any) -> None:
    dtype = x.dtype if isinstance(x, torch.Tensor) else torch.tensor(x).dtype
    if dtype != torch.bool:
        # No TypeError: an operator of Python would take it for "try the other operand".
        raise UnsupportedOperation(
            f"logical operations on secrets need dtype bool, not {dtype}: write x != 0"
        )
