# SPDX-License-Identifier: MIT
"""Batch normalisation in eval mode: a public scale, or one that encrypt() prepared.

1 / sqrt(variance) of a secret variance is not supported; encrypt() therefore computes it in the
clear at the owner of the weights and leaves a variance of one.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .operands import engine_of, factor, handle, result_dtype, settled, wrap
from .table import implements

aten = torch.ops.aten

# Differences to 1 that no precision up to 24 bits can show after rounding to float32.
_UNIT = 2.0**-22


@implements(aten.native_batch_norm.default)
def batch_norm(
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[CrypTensor, torch.Tensor, torch.Tensor]:
    """x of shape (N, C, ...). Cost: one product where weight or its scale is secret."""
    if training or mean is None or variance is None:
        raise UnsupportedOperation(
            "aten.native_batch_norm in training mode: call model.eval() before encrypt(model)"
        )
    if isinstance(variance, CrypTensor):
        raise UnsupportedOperation(
            "aten.native_batch_norm with a secret running_var: call model.eval() before "
            "encrypt(model), which then folds or prepares the statistics"
        )
    engine = engine_of(x, weight, bias, mean)
    dtype = result_dtype(x, 1.0)
    per_channel = [-1] + [1] * (x.dim() - 2)

    def column(value: Any) -> Any:
        return settled(engine, value).rearrange(lambda s: s.reshape(per_channel))

    scale = (variance.detach().double() + eps).rsqrt()
    offset: Any = None if bias is None else column(bias)
    if not isinstance(mean, CrypTensor) and not isinstance(weight, CrypTensor):
        # Everything but the bias may be public: one public factor and one public offset.
        scale = scale if weight is None else scale * weight.detach().double()
        shift = engine.public((-mean.detach().double() * scale).reshape(per_channel))
        offset = shift if offset is None else engine.add(offset, shift)
        weight = None
    elif isinstance(mean, CrypTensor) or bool((mean != 0).any()):
        x = wrap(engine.sub(handle(engine, x), column(mean)), engine, dtype)
    value = factor(engine, x)
    if bool(((scale - 1).abs() > _UNIT).any()):
        value = engine.mul(value, engine.public(scale.reshape(per_channel)))
        if weight is not None:
            value = engine.settle(value)
    if weight is not None:
        value = engine.mul(value, column(weight))
    if offset is not None:
        value = engine.add(value, offset)
    unused = torch.empty(0)
    return wrap(value, engine, dtype), unused, unused.clone()


@implements(aten._native_batch_norm_legit_no_training.default)
def batch_norm_eval(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> tuple[CrypTensor, torch.Tensor, torch.Tensor]:
    return batch_norm(x, weight, bias, mean, variance, False, momentum, eps)
