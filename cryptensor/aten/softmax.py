# SPDX-License-Identifier: MIT
"""softmax and its logarithms. |error| <= 2^-11.

Masks by minus infinity arrive as a large negative number: a row that is masked as a whole comes
out uniform, where PyTorch has NaN (or 0 in _safe_softmax).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from .. import _C
from ..errors import ShapeError
from ..tensor import CrypTensor
from .operands import engine_of, factor, float_dtype, handle, lifted, wants_gradient, wrap
from .piecewise import times
from .powers import EXPONENTIAL
from .table import implements

aten = torch.ops.aten


def along(x: CrypTensor, dim: int, operation: Callable[[_C.Secret, int], _C.Secret]) -> _C.Secret:
    """operation(handle, dim) with a dimension from 0; a number counts as one element."""
    if not -max(x.dim(), 1) <= dim < max(x.dim(), 1):
        raise ShapeError(f"dim is {dim}; it must be from {-x.dim()} to {x.dim() - 1}")
    if x.dim() == 0:
        result = operation(x._secret.rearrange(lambda s: s.reshape(1)), 0)
        return result.rearrange(lambda s: s.reshape(()))
    if x.numel() == 0:
        return x._secret.rearrange(torch.clone)
    return operation(x._secret, dim % x.dim())


@implements(aten._softmax.default, aten._safe_softmax.default)
def softmax(x: CrypTensor, dim: int, *unused: Any, dtype: Any = None) -> CrypTensor:
    return wrap(along(x, dim, x._engine.softmax), x._engine, dtype or float_dtype(x))


@implements(aten._log_softmax.default)
def log_softmax(x: CrypTensor, dim: int, half_to_float: bool = False) -> CrypTensor:
    """log(softmax(x)). With a gradient wanted, softmax(x) is kept: one exp more."""
    engine = x._engine
    result = wrap(along(x, dim, engine.log_softmax), engine, float_dtype(x))
    if wants_gradient(x):
        result._memo.keep(EXPONENTIAL, result._secret, engine.exp(result._secret))
    return result


def _centred(engine: _C.Engine, grad: Any, weights: Any, dim: int) -> _C.Secret:
    """The sum of grad * weights along dim, kept."""
    value = grad if weights is None else engine.mul(factor(engine, grad), weights)
    value = handle(engine, value) if isinstance(value, torch.Tensor) else value
    return engine.sum(value, [dim], True) if len(value.shape) else value


@implements(aten._softmax_backward_data.default)
def softmax_backward(grad: Any, y: Any, dim: int, dtype: torch.dtype) -> CrypTensor:
    """y * (grad - sum(grad * y)). Cost: two products one after another."""
    engine = engine_of(grad, y)
    weights = factor(engine, y)
    total = _centred(engine, grad, weights, dim)
    difference = wrap(engine.sub(handle(engine, grad), total), engine, dtype)
    return times(engine, difference, weights, dtype)


@implements(aten._log_softmax_backward_data.default)
def log_softmax_backward(grad: Any, y: Any, dim: int, dtype: torch.dtype) -> CrypTensor:
    """grad - softmax * sum(grad). Cost: one product."""
    engine = engine_of(grad, y)
    y = lifted(engine, y)
    softmax_of_x = y._memo.find(EXPONENTIAL, y._secret)
    if softmax_of_x is None:
        softmax_of_x = engine.exp(y._secret)
    total = wrap(_centred(engine, grad, None, dim), engine, dtype)
    part = times(engine, total, softmax_of_x, dtype)
    return wrap(engine.sub(handle(engine, grad), part._secret), engine, dtype)


@implements(aten.logsumexp.default)
def logsumexp(x: CrypTensor, dims: list[int], keepdim: bool = False) -> CrypTensor:
    """log(sum(exp(x))) along dims. The gradient goes through cryptensor.functions."""
    engine = x._engine
    if x.dim() == 0:
        return wrap(x._secret.rearrange(torch.clone), engine, float_dtype(x))
    taken = sorted({d % x.dim() for d in dims}) or list(range(x.dim()))
    kept = [d for d in range(x.dim()) if d not in taken]
    shape = [x.shape[d] for d in kept]
    count = math.prod(x.shape[d] for d in taken)
    rows = x._secret.rearrange(lambda s: s.permute(*kept, *taken).reshape(*shape, count))
    result = engine.logsumexp(rows, len(kept))
    if keepdim:
        full = [1 if d in taken else size for d, size in enumerate(x.shape)]
        result = result.rearrange(lambda s: s.reshape(full))
    return wrap(result, engine, float_dtype(x))
