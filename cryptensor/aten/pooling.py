# SPDX-License-Identifier: MIT
"""Pooling: averages are local sums, maxima a tree of comparisons.

All windows of one level of the tree are compared in one protocol run.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ..errors import ShapeError, UnsupportedOperation
from ..tensor import CrypTensor
from .comparison import tree_maximum
from .convolution import spread
from .operands import handle, settled, wrap
from .table import implements

aten = torch.ops.aten

# Below every value that a comparison with it accepts; stands for the padding of a maximum.
_LOWEST = -(2.0**30)


def output_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """The number of windows along one dimension, by PyTorch's rule."""
    free = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (free + (stride - 1 if ceil_mode else 0)) // stride + 1
    # A window that would start in the padding beyond the end does not count.
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    if count < 1:
        raise ShapeError(f"pooling window of {kernel} does not fit into a dimension of {size}")
    return count


def window_starts(share: torch.Tensor, dim: int, kernel: int, step: tuple[int, int, int]) -> Any:
    """For each position in the window along dim, the view of that element of all windows."""
    stride, dilation, count = step
    for k in range(kernel):
        index = [slice(None)] * share.dim()
        index[dim] = slice(k * dilation, k * dilation + (count - 1) * stride + 1, stride)
        yield share[tuple(index)]


def max_pool(
    x: CrypTensor,
    kernel: int | list[int],
    stride: int | list[int] | None,
    padding: int | list[int],
    dilation: int | list[int],
    ceil_mode: bool,
    n: int,
) -> CrypTensor:
    """Maximum over windows of the last n dimensions.

    Overlapping windows are reduced one dimension after another, which shares comparisons;
    otherwise the whole window is one tree of ceil(log2(elements)) runs.
    """
    if x.dim() not in (n + 1, n + 2):
        raise ShapeError(f"max_pool{n}d needs {n + 1} or {n + 2} dimensions, not {x.dim()}")
    kernel = spread(kernel, n)
    stride = spread(stride, n) if stride else kernel
    padding, dilation = spread(padding, n), spread(dilation, n)
    for k, p in zip(kernel, padding, strict=True):
        if p > k // 2:
            raise ShapeError(f"padding is {p}; it must be at most half of the window's {k}")
    steps = []
    for d in range(n):
        geometry = (kernel[d], stride[d], padding[d], dilation[d])
        steps.append((stride[d], dilation[d], output_size(x.shape[d - n], *geometry, ceil_mode)))

    engine = x._engine
    value = _padded(engine, settled(engine, x), kernel, padding, steps)
    overlap = any(s < k for s, k in zip(stride, kernel, strict=True))
    groups = [[d] for d in range(n)] if overlap else [list(range(n))]
    for dims in groups:
        value = tree_maximum(engine, _stacked_windows(value, dims, n, kernel, steps))
    return wrap(value, engine, x.dtype)


def _padded(engine: Any, value: Any, kernel: Any, padding: Any, steps: Any) -> Any:
    """The value with a border of _LOWEST, as far as the windows reach."""
    n, size = len(kernel), list(value.shape)
    pads: list[int] = []
    for d in reversed(range(n)):
        stride, dilation, count = steps[d]
        end = (count - 1) * stride + dilation * (kernel[d] - 1) + 1
        pads += [padding[d], max(end - size[d - n] - padding[d], 0)]
    if not any(pads):
        return value
    padded = value.rearrange(lambda s: F.pad(s, pads))
    border = F.pad(torch.zeros(size[-n:], dtype=torch.float64), pads, value=_LOWEST)
    return engine.add(padded, handle(engine, border))


def _stacked_windows(value: Any, dims: list[int], n: int, kernel: Any, steps: Any) -> Any:
    def stack(share: torch.Tensor) -> torch.Tensor:
        parts = [share]
        for d in dims:
            dim = share.dim() - n + d
            parts = [w for part in parts for w in window_starts(part, dim, kernel[d], steps[d])]
        return torch.stack(parts)

    return value.rearrange(stack)


@implements(aten.avg_pool2d.default)
def avg_pool2d(
    x: CrypTensor,
    kernel: list[int],
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> CrypTensor:
    """Mean over windows, also for AvgPool1d: a local sum and one public factor."""
    kernel, stride, padding = _average_geometry(kernel, stride, padding)
    if ceil_mode:
        raise UnsupportedOperation("aten.avg_pool2d with ceil_mode=True: pad the input instead")
    engine = x._engine
    pads = [padding[1], padding[1], padding[0], padding[0]]

    def windows(share: torch.Tensor) -> torch.Tensor:
        padded = F.pad(share, pads) if any(pads) else share
        return padded.unfold(-2, kernel[0], stride[0]).unfold(-2, kernel[1], stride[1])

    total = engine.sum(x._secret.rearrange(windows), [x.dim(), x.dim() + 1], False)
    if any(pads) and not count_include_pad and not divisor:
        counts = windows(torch.ones(x.shape[-2:], dtype=torch.float64)).sum((-1, -2))
        averaged = engine.mul(engine.settle(total), handle(engine, 1.0 / counts))
    else:
        averaged = engine.scale(total, 1.0 / (divisor or kernel[0] * kernel[1]))
    return wrap(averaged, engine, x.dtype)


@implements(aten.avg_pool2d_backward.default)
def avg_pool2d_backward(
    grad: CrypTensor,
    x: Any,
    kernel: list[int],
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> CrypTensor:
    kernel, stride, padding = _average_geometry(kernel, stride, padding)
    if any(padding) and not count_include_pad and not divisor:
        raise UnsupportedOperation("gradient of avg_pool2d with count_include_pad=False")
    engine = grad._engine
    height, width = x.shape[-2:]

    def spread_out(share: torch.Tensor) -> torch.Tensor:
        shape = (height + 2 * padding[0], width + 2 * padding[1])
        placed = share.new_zeros(*share.shape[:-2], *shape)
        steps = [(s, 1, o) for s, o in zip(stride, share.shape[-2:], strict=True)]
        for rows in window_starts(placed, share.dim() - 2, kernel[0], steps[0]):
            for cells in window_starts(rows, share.dim() - 1, kernel[1], steps[1]):
                cells += share
        inside = placed[..., padding[0] : padding[0] + height, padding[1] : padding[1] + width]
        return inside.contiguous()

    part = engine.scale(handle(engine, grad), 1.0 / (divisor or kernel[0] * kernel[1]))
    return wrap(part.rearrange(spread_out), engine, grad.dtype)


def _average_geometry(kernel: Any, stride: Any, padding: Any) -> tuple[Any, Any, Any]:
    kernel = spread(kernel, 2)
    return kernel, spread(stride, 2) if stride else kernel, spread(padding, 2)


def _whole_ratio(x: Any, output: list[int]) -> list[int]:
    sizes = list(x.shape[-2:])
    if any(size % out for size, out in zip(sizes, output, strict=True)):
        raise UnsupportedOperation(
            f"aten._adaptive_avg_pool2d from {sizes} to {list(output)}: each size must be a "
            "multiple of the output's; crop or pad the input first"
        )
    return [size // out for size, out in zip(sizes, output, strict=True)]


@implements(aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(x: CrypTensor, output: list[int]) -> CrypTensor:
    return avg_pool2d(x, _whole_ratio(x, output))


@implements(aten._adaptive_avg_pool2d_backward.default)
def adaptive_avg_pool2d_backward(grad: CrypTensor, x: Any) -> CrypTensor:
    ratio = _whole_ratio(x, list(grad.shape[-2:]))
    part = grad._engine.scale(grad._secret, 1.0 / (ratio[0] * ratio[1]))
    grown = part.rearrange(
        lambda s: s.repeat_interleave(ratio[0], -2).repeat_interleave(ratio[1], -1)
    )
    return wrap(grown, grad._engine, grad.dtype)
