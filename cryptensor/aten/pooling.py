# SPDX-License-Identifier: MIT
"""Maxima over windows, adaptive ones too.

Overlapping windows are reduced one dimension after another, which shares comparisons; otherwise
the whole window is one tree of maxima. The positions of the maxima stay for the gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from .. import _C
from ..errors import ShapeError, UnsupportedOperation
from ..tensor import CrypTensor
from .operands import encode_integers, engine_of, factor, settled, wrap
from .table import implements
from .windows import Table, adaptive, closed, joined, overlapping, sliding

aten = torch.ops.aten

# Under this key the positions of maxima remember how they were found.
_STAGES = "stages of the maximum"


@dataclass
class Stage:
    """One reduction: along spatial dimension `dim`, or of all of them for None."""

    dim: int | None
    shape: list[int]
    table: Table
    positions: _C.Secret


def _flattened(value: _C.Secret, dim: int | None, n: int) -> _C.Secret:
    """The reduced dimension(s) as the last one."""
    if dim is None:
        return value.rearrange(lambda s: s.flatten(-n))
    return value.rearrange(lambda s: s.movedim(dim - n, -1))


def _restored(value: _C.Secret, dim: int | None, n: int, sizes: list[int]) -> _C.Secret:
    if dim is None:
        return value.rearrange(lambda s: s.reshape(*s.shape[:-1], *sizes))
    return value.rearrange(lambda s: s.movedim(-1, dim - n).contiguous())


def reduce_windows(
    engine: _C.Engine, value: _C.Secret, tables: list[Table], together: bool, keep: bool
) -> tuple[_C.Secret, list[Stage]]:
    """The maxima, and with `keep` the stages that found them."""
    n = len(tables)
    stages = []
    for dim in [None] if together else list(reversed(range(n))):
        sizes = list(value.shape[-n:])
        table = joined(tables, sizes) if dim is None else closed(tables[dim], sizes[dim])
        rows = _flattened(value, dim, n).rearrange(lambda s, t=table: s[..., t])
        if keep:
            largest, positions = engine.largest_with_index(rows, len(rows.shape) - 1)
            stages.append(Stage(dim, list(value.shape), table, positions))
        else:
            largest = engine.largest(rows, len(rows.shape) - 1)
        value = _restored(largest, dim, n, [t.shape[0] for t in tables])
    return value, stages


def spread_gradient(engine: _C.Engine, grad: _C.Secret, stages: list[Stage], n: int) -> _C.Secret:
    """The gradient of each maximum at its position. Cost: one product a stage."""
    for stage in reversed(stages):
        size = stage.table.shape[1]
        rows = _flattened(grad, stage.dim, n).rearrange(lambda s: s.unsqueeze(-1))
        moved = engine.mul(engine.one_hot(stage.positions, size), rows)
        sizes = stage.shape[-n:]
        length = math.prod(sizes) if stage.dim is None else sizes[stage.dim]
        flat = stage.table.flatten()

        def place(share: torch.Tensor, flat: Table = flat, length: int = length) -> torch.Tensor:
            placed = share.new_zeros(*share.shape[:-2], length)
            return placed.index_add_(-1, flat, share.flatten(-2))

        grad = _restored(moved.rearrange(place), stage.dim, n, stage.shape[-n:])
    return grad


def check_dimensions(x: torch.Tensor, n: int, name: str) -> None:
    if x.dim() not in (n + 1, n + 2):
        raise ShapeError(f"{name}{n}d needs {n + 1} or {n + 2} dimensions, not {x.dim()}")


def max_pool(
    x: CrypTensor,
    kernel: int | list[int],
    stride: int | list[int] | None,
    padding: int | list[int],
    dilation: int | list[int],
    ceil_mode: bool,
    n: int,
    keep: bool = False,
) -> tuple[CrypTensor, list[Stage]]:
    """Maximum over windows of the last n dimensions; with `keep`, the stages for its gradient."""
    check_dimensions(x, n, "max_pool")
    tables = sliding(list(x.shape[-n:]), kernel, stride, padding, dilation, ceil_mode)
    value = settled(x._engine, x)
    value, stages = reduce_windows(x._engine, value, tables, not overlapping(tables), keep)
    return wrap(value, x._engine, x.dtype), stages


def max_pool_gradient(grad: Any, stages: list[Stage], n: int) -> CrypTensor:
    engine = engine_of(grad)
    moved = spread_gradient(engine, factor(engine, grad), stages, n)
    return wrap(moved, engine, grad.dtype)


def _with_positions(x: CrypTensor, tables: list[Table]) -> tuple[CrypTensor, CrypTensor]:
    """Maxima and their flat positions in the last dimensions, as secret integers."""
    engine, n = x._engine, len(tables)
    value, stages = reduce_windows(engine, settled(engine, x), tables, True, True)
    table = stages[0].table
    chosen = engine.one_hot(stages[0].positions, table.shape[1])
    places = engine.mul(chosen, encode_integers(engine, table))
    places = engine.sum(places, [x.dim() - n + 1], False)
    places = _restored(places, None, n, [t.shape[0] for t in tables])
    positions = wrap(places, engine, torch.int64)
    positions._memo.keep(_STAGES, places, stages)
    return wrap(value, engine, x.dtype), positions


def _positions_gradient(grad: Any, positions: Any, n: int) -> CrypTensor:
    stages = None
    if isinstance(positions, CrypTensor):
        stages = positions._memo.find(_STAGES, positions._secret)
    if stages is None:
        raise UnsupportedOperation(
            "gradient of a max_pool whose positions were changed: use those that it returned"
        )
    return max_pool_gradient(grad, stages, n)


def _sliding_with_positions(n: int) -> Any:
    def handler(
        x: CrypTensor,
        kernel: list[int],
        stride: Any = (),
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> tuple[CrypTensor, CrypTensor]:
        check_dimensions(x, n, "max_pool")
        sizes = list(x.shape[-n:])
        return _with_positions(x, sliding(sizes, kernel, stride, padding, dilation, ceil_mode))

    return handler


def _adaptive_with_positions(n: int) -> Any:
    def handler(x: CrypTensor, output: Any) -> tuple[CrypTensor, CrypTensor]:
        check_dimensions(x, n, "adaptive_max_pool")
        return _with_positions(x, adaptive(list(x.shape[-n:]), list(output)))

    return handler


def _gradient_by_positions(n: int) -> Any:
    def handler(grad: Any, x: Any, *geometry: Any) -> CrypTensor:
        return _positions_gradient(grad, geometry[-1], n)

    return handler


implements(aten.max_pool2d_with_indices.default)(_sliding_with_positions(2))
implements(aten.max_pool3d_with_indices.default)(_sliding_with_positions(3))
implements(aten.adaptive_max_pool2d.default)(_adaptive_with_positions(2))
implements(aten.adaptive_max_pool3d.default)(_adaptive_with_positions(3))
implements(aten.max_pool2d_with_indices_backward.default)(_gradient_by_positions(2))
implements(aten.max_pool3d_with_indices_backward.default)(_gradient_by_positions(3))
implements(aten.adaptive_max_pool2d_backward.default)(_gradient_by_positions(2))
implements(aten.adaptive_max_pool3d_backward.default)(_gradient_by_positions(3))
