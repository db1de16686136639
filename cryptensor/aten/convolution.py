# SPDX-License-Identifier: MIT
"""Convolution in one, two or three dimensions, and its gradients as convolutions."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .arithmetic import reduced
from .operands import engine_of, factor, handle, result_dtype, wrap
from .table import implements

aten = torch.ops.aten


def spread(values: int | list[int], count: int) -> list[int]:
    """A setting for each of `count` spatial dimensions, given once or for each."""
    listed = [values] if isinstance(values, int) else list(values)
    return listed * count if len(listed) == 1 else listed


@implements(aten.convolution.default)
def convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> CrypTensor:
    """Shapes as torch.nn.functional.conv1d/2d/3d. Cost: one round, none with a public operand."""
    _refuse_transposed(transposed)
    engine = engine_of(x, weight, bias)
    n = weight.dim() - 2
    result = engine.conv(
        factor(engine, x),
        factor(engine, weight),
        spread(stride, n),
        spread(padding, n),
        spread(dilation, n),
        groups,
    )
    if bias is not None:
        column = handle(engine, bias).rearrange(lambda s: s.reshape(-1, *[1] * n))
        result = engine.add(result, column)
    return wrap(result, engine, result_dtype(x, weight))


@implements(aten.convolution_backward.default)
def convolution_backward(
    grad: Any,
    x: Any,
    weight: Any,
    bias_sizes: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    wanted: list[bool],
) -> tuple[CrypTensor | None, CrypTensor | None, CrypTensor | None]:
    _refuse_transposed(transposed)
    engine = engine_of(grad, x, weight)
    n = weight.dim() - 2
    geometry = (spread(stride, n), spread(padding, n), spread(dilation, n), groups)
    for_x = for_weight = for_bias = None
    if wanted[0]:
        for_x = wrap(_input_gradient(engine, grad, x, weight, *geometry), engine, x.dtype)
    if wanted[1]:
        for_weight = wrap(_weight_gradient(engine, grad, x, weight, *geometry), engine, x.dtype)
    if wanted[2]:
        total = (
            grad if isinstance(grad, CrypTensor) else wrap(handle(engine, grad), engine, x.dtype)
        )
        for_bias = wrap(reduced(total, [0, *range(2, n + 2)], False), engine, x.dtype)
    return for_x, for_weight, for_bias


def _input_gradient(
    engine: Any,
    grad: Any,
    x: Any,
    weight: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Any:
    """The gradient, with stride - 1 zeros between its elements, against the flipped kernel."""
    n, kernel, size = len(stride), list(weight.shape[2:]), list(x.shape[2:])
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    spaced = [s + 2 * p - r for s, p, r in zip(size, padding, reach, strict=True)]

    def between_zeros(share: torch.Tensor) -> torch.Tensor:
        placed = share.new_zeros(*share.shape[:2], *spaced)
        steps: Any = [
            slice(0, (o - 1) * s + 1, s) for o, s in zip(share.shape[2:], stride, strict=True)
        ]
        placed[(..., *steps)] = share
        return placed

    def turned(share: torch.Tensor) -> torch.Tensor:
        split = share.reshape(groups, -1, *share.shape[1:]).transpose(1, 2)
        return split.reshape(-1, *split.shape[2:]).flip(list(range(2, n + 2)))

    full = engine.conv(
        factor(engine, grad).rearrange(between_zeros),
        factor(engine, weight).rearrange(turned),
        [1] * n,
        reach,
        dilation,
        groups,
    )
    inside: Any = (..., *(slice(p, p + s) for p, s in zip(padding, size, strict=True)))
    return full.rearrange(lambda s: s[inside].contiguous())


def _weight_gradient(
    engine: Any,
    grad: Any,
    x: Any,
    weight: Any,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Any:
    """The input against the gradient: batch and channels change places, stride and dilation too."""
    batch, channels = x.shape[0], x.shape[1]

    def grouped(share: torch.Tensor) -> torch.Tensor:
        split = share.reshape(batch, groups, channels // groups, *share.shape[2:])
        return split.permute(2, 1, 0, *range(3, split.dim())).flatten(1, 2)

    product = engine.conv(
        factor(engine, x).rearrange(grouped),
        factor(engine, grad).rearrange(lambda s: s.transpose(0, 1).contiguous()),
        dilation,
        padding,
        stride,
        groups,
    )
    inside: Any = (..., *(slice(0, k) for k in weight.shape[2:]))
    return product.rearrange(lambda s: s[inside].transpose(0, 1).contiguous())


def _refuse_transposed(transposed: bool) -> None:
    if transposed:
        raise UnsupportedOperation(
            "aten.convolution with transposed=True (ConvTranspose): use an upsampling and a Conv"
        )
