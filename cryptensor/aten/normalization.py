# SPDX-License-Identifier: MIT
"""Batch normalisation: in training by the statistics of the batch, in eval mode by stored ones.

encrypt() folds the second kind into the layer before it, or prepares a public variance of one;
what is left with a secret variance costs one power.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _C
from ..errors import ShapeError
from ..tensor import CrypTensor
from .arithmetic import divided
from .inplace import refuse_plain, write
from .operands import engine_of, factor, handle, result_dtype, settled, wrap
from .standardization import affine, input_gradient, remembering, reshaped, rows_of, standardized
from .table import implements

aten = torch.ops.aten
Results = tuple[CrypTensor, Any, Any]

# Differences to 1 that no precision up to 24 bits can show after rounding to float32.
_UNIT = 2.0**-22


def _to_rows(value: _C.Secret) -> _C.Secret:
    """(N, C, ...) as one row for each channel."""
    return value.rearrange(lambda s: s.transpose(0, 1).reshape(s.shape[1], -1))


def _from_rows(rows: _C.Secret, shape: Any) -> _C.Secret:
    n, channels, *rest = shape
    return rows.rearrange(lambda s: s.reshape(channels, n, *rest).transpose(0, 1).contiguous())


def _column(engine: _C.Engine, value: Any, dims: int) -> Any:
    return None if value is None else reshaped(settled(engine, value), (-1, *[1] * (dims - 2)))


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
) -> Results:
    """x of shape (N, C, ...). Raises PublicSinkError for plain running statistics in training."""
    if training or mean is None or variance is None:
        return _by_batch(x, weight, bias, mean, variance, momentum, eps)
    if isinstance(variance, CrypTensor):
        return _by_secret_statistics(x, weight, bias, mean, variance, eps)
    unused = torch.empty(0)
    return _by_public_variance(x, weight, bias, mean, variance, eps), unused, unused.clone()


def _by_batch(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> Results:
    for name, buffer in (("running_mean", mean), ("running_var", variance)):
        if buffer is not None:
            refuse_plain(buffer, f"batch_norm in training ({name})")
    engine = engine_of(x, weight, bias)
    count = x.numel() // max(x.shape[1], 1)
    if count < 2:
        raise ShapeError(f"batch_norm in training of {count} values per channel: at least 2")
    rows = _to_rows(handle(engine, x))
    normal, batch_mean, rstd = standardized(engine, rows, eps)
    value = affine(
        engine,
        _from_rows(normal, x.shape),
        _column(engine, weight, x.dim()),
        _column(engine, bias, x.dim()),
    )
    _follow(engine, mean, batch_mean, momentum)
    if variance is not None:
        _follow(engine, variance, _unbiased_variance(engine, rows, batch_mean), momentum)
    inverse = remembering(x, rstd, normal, weight, bias)
    return wrap(value, engine, x.dtype), wrap(batch_mean, engine, x.dtype), inverse


def _follow(engine: _C.Engine, buffer: Any, value: _C.Secret, momentum: float) -> None:
    """A running statistic moves by `momentum` towards the batch's."""
    if buffer is not None:
        step = engine.scale(engine.sub(value, buffer._secret), float(momentum))
        write(buffer, engine.settle(engine.add(buffer._secret, step)), "batch_norm")


def _unbiased_variance(engine: _C.Engine, rows: _C.Secret, mean: _C.Secret) -> _C.Secret:
    deviations = engine.sub(rows, reshaped(mean, (-1, 1)))
    if deviations.fraction_bits > engine.precision:
        deviations = engine.settle(deviations)
    total = engine.sum(engine.square(deviations), [1], False)
    return divided(engine, total, rows.shape[1] - 1)


def _by_secret_statistics(
    x: Any, weight: Any, bias: Any, mean: Any, variance: CrypTensor, eps: float
) -> Results:
    engine = engine_of(x, variance)
    rstd = engine.power(engine.add(variance._secret, handle(engine, float(eps))), -0.5)
    inverse = wrap(rstd, engine, variance.dtype)
    centred = engine.sub(handle(engine, x), _column(engine, mean, x.dim()))
    scale = inverse
    if weight is not None:
        product = engine.mul(factor(engine, inverse), factor(engine, weight))
        scale = wrap(product, engine, x.dtype)
    value = affine(
        engine,
        factor(engine, wrap(centred, engine, x.dtype)),
        _column(engine, scale, x.dim()),
        _column(engine, bias, x.dim()),
    )
    unused = torch.empty(0)
    return wrap(value, engine, result_dtype(x, 1.0)), unused, inverse


def _by_public_variance(
    x: Any, weight: Any, bias: Any, mean: Any, variance: torch.Tensor, eps: float
) -> CrypTensor:
    """Cost: one product where weight or its scale is secret."""
    engine = engine_of(x, weight, bias, mean)
    dtype = result_dtype(x, 1.0)
    per_channel = [-1] + [1] * (x.dim() - 2)
    scale = (variance.detach().double() + eps).rsqrt()
    offset = _column(engine, bias, x.dim())
    if not isinstance(mean, CrypTensor) and not isinstance(weight, CrypTensor):
        # Everything but the bias may be public: one public factor and one public offset.
        scale = scale if weight is None else scale * weight.detach().double()
        shift = engine.public((-mean.detach().double() * scale).reshape(per_channel))
        offset = shift if offset is None else engine.add(offset, shift)
        weight = None
    elif isinstance(mean, CrypTensor) or bool((mean != 0).any()):
        x = wrap(engine.sub(handle(engine, x), _column(engine, mean, x.dim())), engine, dtype)
    value = factor(engine, x)
    if bool(((scale - 1).abs() > _UNIT).any()):
        value = engine.mul(value, engine.public(scale.reshape(per_channel)))
        if weight is not None:
            value = engine.settle(value)
    return wrap(affine(engine, value, _column(engine, weight, x.dim()), offset), engine, dtype)


@implements(aten._native_batch_norm_legit_no_training.default)
def batch_norm_eval(
    x: Any, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> Results:
    return batch_norm(x, weight, bias, mean, variance, False, momentum, eps)


@implements(aten.native_batch_norm_backward.default)
def batch_norm_backward(
    grad: Any,
    x: Any,
    weight: Any,
    mean: Any,
    variance: Any,
    saved_mean: Any,
    saved_rstd: Any,
    training: bool,
    eps: float,
    wanted: list[bool],
) -> tuple[CrypTensor | None, CrypTensor | None, CrypTensor | None]:
    """In training through the statistics of the batch, in eval mode past the stored ones."""
    engine = engine_of(grad, x, weight, mean, saved_rstd)
    channels = x.shape[1]
    if not training:
        saved_mean, saved_rstd = mean, _stored_rstd(engine, variance, saved_rstd, eps)
    g = _to_rows(factor(engine, grad))
    rows = wrap(_to_rows(handle(engine, x)), engine, x.dtype)
    needs_rows = (training and wanted[0]) or (wanted[1] and weight is not None)
    normal: Any = rows_of(engine, rows, saved_mean, saved_rstd, channels) if needs_rows else None
    for_x = for_weight = for_bias = None
    if wanted[0]:
        weighted = g
        if weight is not None:
            column = reshaped(factor(engine, weight), (channels, 1))
            weighted = engine.settle(engine.mul(g, column))
        scale = reshaped(factor(engine, saved_rstd), (channels, 1))
        if training:
            result = input_gradient(engine, weighted, normal, scale)
        else:
            result = engine.mul(weighted, scale)
        for_x = wrap(_from_rows(result, x.shape), engine, x.dtype)
    if wanted[1] and weight is not None:
        for_weight = wrap(engine.sum(engine.mul(g, normal), [1], False), engine, x.dtype)
    if wanted[2]:
        for_bias = wrap(engine.sum(g, [1], False), engine, x.dtype)
    return for_x, for_weight, for_bias


def _stored_rstd(engine: _C.Engine, variance: Any, saved: Any, eps: float) -> Any:
    if isinstance(variance, CrypTensor):
        return saved  # the forward pass computed it
    return (variance.detach().double() + eps).rsqrt()
