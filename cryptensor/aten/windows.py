# SPDX-License-Identifier: MIT
"""Which positions belong to which window of a pooling, as public tables.

A table has one row for each window; positions outside of the input repeat the first one inside,
which changes neither a maximum nor the position of the first maximum.
"""

from __future__ import annotations

import torch

from ..errors import ShapeError
from .convolution import spread

Table = torch.Tensor


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


def sliding(
    sizes: list[int],
    kernel: int | list[int],
    stride: int | list[int] | None,
    padding: int | list[int],
    dilation: int | list[int],
    ceil_mode: bool,
) -> list[Table]:
    """A table of (windows, kernel) for each dimension; positions may lie outside of it."""
    n = len(sizes)
    kernel = spread(kernel, n)
    stride = spread(stride, n) if stride else kernel
    padding, dilation = spread(padding, n), spread(dilation, n)
    tables = []
    for size, k, step, pad, gap in zip(sizes, kernel, stride, padding, dilation, strict=True):
        if not 0 <= pad <= k // 2:
            raise ShapeError(f"padding is {pad}; it must be from 0 to half of the window's {k}")
        count = output_size(size, k, step, pad, gap, ceil_mode)
        starts = torch.arange(count) * step - pad
        tables.append(starts[:, None] + gap * torch.arange(k))
    return tables


def adaptive(sizes: list[int], wanted: list[int]) -> list[Table]:
    """PyTorch's windows from floor(i * size / n) to ceil((i + 1) * size / n)."""
    tables = []
    for size, count in zip(sizes, wanted, strict=True):
        if size < 1 or count < 1:
            raise ShapeError(f"adaptive pooling from {size} to {count}: both must be at least 1")
        starts = torch.arange(count) * size // count
        ends = -(-(torch.arange(count) + 1) * size // count)
        reach = torch.arange(int((ends - starts).max()))
        positions = starts[:, None] + reach
        # Beyond the end of a shorter window: -1, which is outside of every input.
        tables.append(positions.masked_fill(positions >= ends[:, None], -1))
    return tables


def closed(table: Table, size: int) -> Table:
    """The table with positions outside of [0, size) replaced by the window's first one inside."""
    inside = (table >= 0) & (table < size)
    first = table.masked_fill(~inside, size).amin(1, keepdim=True)
    if bool((first == size).any()):
        raise ShapeError(f"a pooling window lies outside of a dimension of {size}")
    return torch.where(inside, table, first)


def joined(tables: list[Table], sizes: list[int]) -> Table:
    """The table of flat positions of the windows over all dimensions, row by row."""
    flat = torch.zeros(1, 1, dtype=torch.int64)
    for table, size in zip(tables, sizes, strict=True):
        pairs = flat[:, None, :, None] * size + closed(table, size)[None, :, None, :]
        flat = pairs.flatten(2).flatten(0, 1)
    return flat


def overlapping(tables: list[Table]) -> bool:
    """Does a window of any dimension start before the one before it has ended?"""
    return any(bool((table[1:, 0] <= table[:-1, -1]).any()) for table in tables)


def membership(table: Table, size: int) -> torch.Tensor:
    """The 0/1 matrix (windows, size) of what belongs to a window: sums are products with it."""
    matrix = torch.zeros(table.shape[0], size, dtype=torch.int64)
    for column in table.t():
        inside = ((column >= 0) & (column < size)).nonzero().flatten()
        matrix[inside, column[inside]] = 1
    return matrix
