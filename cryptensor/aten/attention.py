# SPDX-License-Identifier: MIT
"""Scaled dot-product attention, which PyTorch dispatches whole on the cpu.

Two matrix products and a softmax; the probabilities stay for the gradient, which needs products
only.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from .. import _C
from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .operands import engine_of, factor, factors, handle, result_dtype, wants_gradient, wrap
from .table import implements

aten = torch.ops.aten

# Under this key the second result, which is no real logsumexp, remembers the softmax.
_PROBABILITIES = "attention probabilities"


def _turned(value: _C.Secret) -> _C.Secret:
    return value.rearrange(lambda s: s.transpose(-1, -2))


def _settle(engine: _C.Engine, value: _C.Secret) -> _C.Secret:
    return engine.settle(value) if value.fraction_bits > engine.precision else value


def _each_head(value: _C.Secret, heads: int) -> _C.Secret:
    """Keys or values that groups of heads have in common, once for every head."""
    times = heads // value.shape[-3]
    return value if times == 1 else value.rearrange(lambda s: s.repeat_interleave(times, -3))


def _in_common(engine: _C.Engine, grad: _C.Secret, heads: int) -> _C.Secret:
    """The sum over the heads of each group: the gradient of what they have in common."""
    if grad.shape[-3] == heads:
        return grad
    grouped = grad.rearrange(lambda s: s.unflatten(-3, (heads, -1)))
    return engine.sum(grouped, [len(grouped.shape) - 3], False)


def _probabilities(
    engine: _C.Engine, query: Any, key: Any, is_causal: bool, mask: Any, scale: float
) -> _C.Secret:
    keys = _each_head(factor(engine, key), query.shape[-3])
    scores = engine.matmul(factor(engine, query), _turned(keys))
    scores = engine.scale(scores, scale)
    if is_causal:
        allowed = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, -math.inf)
    if mask is not None:
        # Minus infinity, a number near the end of the range, leaves no room for pending bits.
        scores = engine.add(_settle(engine, scores), handle(engine, mask))
    return _settle(engine, engine.softmax(scores, len(scores.shape) - 1))


@implements(aten._scaled_dot_product_flash_attention_for_cpu.default)
def attention(
    query: Any,
    key: Any,
    value: Any,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Any = None,
    scale: float | None = None,
) -> tuple[CrypTensor, CrypTensor]:
    """softmax(query @ key^T * scale + mask) @ value over the last two dimensions."""
    if dropout:
        raise UnsupportedOperation(f"attention with dropout_p={dropout}: it must be 0")
    engine = engine_of(query, key, value, attn_mask)
    factors(engine, query, key, value)
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    softmax = _probabilities(engine, query, key, is_causal, attn_mask, scale)
    result = engine.matmul(softmax, _each_head(factor(engine, value), query.shape[-3]))
    unused = engine.public(torch.zeros(query.shape[:-1], dtype=torch.float64))
    kept = wrap(unused, engine, torch.float32)
    if wants_gradient(query, key, value):
        kept._memo.keep(_PROBABILITIES, unused, softmax)
    return wrap(result, engine, result_dtype(query, value)), kept


@implements(aten._scaled_dot_product_flash_attention_for_cpu_backward.default)
def attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    out: Any,
    kept: Any,
    dropout: float,
    is_causal: bool,
    *,
    attn_mask: Any = None,
    scale: float | None = None,
) -> tuple[CrypTensor, CrypTensor, CrypTensor]:
    engine = engine_of(grad, query, key, value)
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    softmax = None
    if isinstance(kept, CrypTensor):
        softmax = kept._memo.find(_PROBABILITIES, kept._secret)
    if softmax is None:
        softmax = _probabilities(engine, query, key, is_causal, attn_mask, scale)
    g = factor(engine, grad)
    for_value = engine.matmul(_turned(softmax), g)
    heads = query.shape[-3]
    values = _each_head(factor(engine, value), heads)
    by_softmax = _settle(engine, engine.matmul(g, _turned(values)))
    last = len(softmax.shape) - 1
    total = _settle(engine, engine.sum(engine.mul(by_softmax, softmax), [last], True))
    by_scores = engine.mul(softmax, engine.sub(by_softmax, total))
    by_scores = engine.settle(engine.scale(engine.settle(by_scores), scale))
    for_query = engine.matmul(by_scores, _each_head(factor(engine, key), heads))
    for_key = engine.matmul(_turned(by_scores), factor(engine, query))
    dtype = result_dtype(query, value)
    return (
        wrap(for_query, engine, dtype),
        wrap(_in_common(engine, for_key, key.shape[-3]), engine, dtype),
        wrap(_in_common(engine, for_value, value.shape[-3]), engine, dtype),
    )
