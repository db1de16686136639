# SPDX-License-Identifier: MIT
"""Convolutions in one, two or three dimensions and transposed ones; gradients as convolutions.

A transposed convolution is the gradient of a convolution by its input, and the other way round.
The engine takes two dimensions: the third is moved into the batch and the channels beforehand.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from .. import _C
from ..tensor import CrypTensor
from .arithmetic import reduced
from .operands import engine_of, factor, handle, lifted, result_dtype, wrap
from .table import implements

aten = torch.ops.aten


class Geometry(NamedTuple):
    """The settings of a convolution, one entry for each spatial dimension."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    @property
    def flat(self) -> Geometry:
        """What is left of three dimensions once the first of them is unrolled."""
        return Geometry(self.stride[1:], self.padding[1:], self.dilation[1:], self.groups)


def spread(values: int | list[int], count: int) -> list[int]:
    """A setting for each of `count` spatial dimensions, given once or for each."""
    listed = [values] if isinstance(values, int) else list(values)
    return listed * count if len(listed) == 1 else listed


def _geometry(weight: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Geometry:
    n = weight.dim() - 2
    return Geometry(spread(stride, n), spread(padding, n), spread(dilation, n), groups)


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
    """Shapes as F.conv1d/2d/3d and F.conv_transpose1d/2d/3d.

    Cost: one round, none with a public operand. In three dimensions the input is sent once for
    each plane of the kernel; stride - 1 zeros between the elements of a transposed one are sent.
    """
    engine = engine_of(x, weight, bias)
    geometry = _geometry(weight, stride, padding, dilation, groups)
    value, kernel = factor(engine, x), factor(engine, weight)
    if transposed:
        sizes = _transposed_sizes(x, weight, geometry, spread(output_padding, weight.dim() - 2))
        result = _input_gradient(engine, value, kernel, sizes, geometry)
    else:
        result = _convolved(engine, value, kernel, geometry)
    if bias is not None:
        column = handle(engine, bias).rearrange(lambda s: s.reshape(-1, *[1] * (weight.dim() - 2)))
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
    engine = engine_of(grad, x, weight)
    geometry = _geometry(weight, stride, padding, dilation, groups)
    g = factor(engine, grad)
    for_x = for_weight = for_bias = None
    if wanted[0]:
        kernel = factor(engine, weight)
        if transposed:
            found = _convolved(engine, g, kernel, geometry)
        else:
            found = _input_gradient(engine, g, kernel, list(x.shape[2:]), geometry)
        for_x = wrap(found, engine, x.dtype)
    if wanted[1]:
        value = factor(engine, x)
        pair = (g, value) if transposed else (value, g)
        found = _weight_gradient(engine, *pair, list(weight.shape[2:]), geometry)
        for_weight = wrap(found, engine, x.dtype)
    if wanted[2]:
        for_bias = wrap(
            reduced(lifted(engine, grad), [0, *range(2, grad.dim())], False), engine, x.dtype
        )
    return for_x, for_weight, for_bias


def _transposed_sizes(x: Any, weight: Any, geometry: Geometry, extra: list[int]) -> list[int]:
    sizes = zip(x.shape[2:], weight.shape[2:], *geometry[:3], extra, strict=True)
    return [(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, d, e in sizes]


def _convolved(engine: _C.Engine, x: _C.Secret, weight: _C.Secret, geometry: Geometry) -> _C.Secret:
    if len(geometry.stride) < 3:
        return engine.conv(x, weight, *geometry)
    batch, depth = x.shape[0], weight.shape[2]
    flat = engine.conv(
        _slabs(x, depth, geometry),
        weight.rearrange(lambda s: s.flatten(1, 2)),
        *geometry.flat,
    )
    return flat.rearrange(lambda s: s.unflatten(0, (batch, -1)).transpose(1, 2))


def _slabs(x: _C.Secret, depth: int, geometry: Geometry) -> _C.Secret:
    """(N, C, D, H, W) as (N * planes of the result, C * planes of the kernel, H, W)."""
    stride, pad, gap = geometry.stride[0], geometry.padding[0], geometry.dilation[0]
    planes = (x.shape[2] + 2 * pad - gap * (depth - 1) - 1) // stride + 1
    places = torch.arange(planes)[:, None] * stride + gap * torch.arange(depth)

    def cut(share: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(share, (0, 0, 0, 0, pad, pad))
        return padded[:, :, places].movedim(2, 1).flatten(2, 3).flatten(0, 1)

    return x.rearrange(cut)


def _input_gradient(
    engine: _C.Engine, grad: _C.Secret, weight: _C.Secret, sizes: list[int], geometry: Geometry
) -> _C.Secret:
    """The gradient, with stride - 1 zeros between its elements, against the flipped kernel."""
    n, kernel = len(sizes), list(weight.shape[2:])
    stride, padding, dilation, groups = geometry
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    spaced = [s + 2 * p - r for s, p, r in zip(sizes, padding, reach, strict=True)]

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

    full = _convolved(
        engine,
        grad.rearrange(between_zeros),
        weight.rearrange(turned),
        Geometry([1] * n, reach, dilation, groups),
    )
    inside: Any = (..., *(slice(p, p + s) for p, s in zip(padding, sizes, strict=True)))
    return full.rearrange(lambda s: s[inside].contiguous())


def _weight_gradient(
    engine: _C.Engine, x: _C.Secret, grad: _C.Secret, kernel: list[int], geometry: Geometry
) -> _C.Secret:
    """The input against the gradient: batch and channels change places, stride and dilation too."""
    if len(kernel) == 3:
        slabs = _slabs(x, kernel[0], geometry)
        planes = grad.rearrange(lambda s: s.transpose(1, 2).flatten(0, 1))
        flat = _weight_gradient(engine, slabs, planes, kernel[1:], geometry.flat)
        return flat.rearrange(lambda s: s.unflatten(1, (-1, kernel[0])))
    stride, padding, dilation, groups = geometry
    batch, channels = x.shape[:2]

    def grouped(share: torch.Tensor) -> torch.Tensor:
        split = share.reshape(batch, groups, channels // groups, *share.shape[2:])
        return split.permute(2, 1, 0, *range(3, split.dim())).flatten(1, 2)

    product = engine.conv(
        x.rearrange(grouped),
        grad.rearrange(lambda s: s.transpose(0, 1).contiguous()),
        dilation,
        padding,
        stride,
        groups,
    )
    inside: Any = (..., *(slice(0, k) for k in kernel))
    return product.rearrange(lambda s: s[inside].transpose(0, 1).contiguous())
