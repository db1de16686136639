# SPDX-License-Identifier: MIT
"""Indexing by public positions, and its backward formulas. No communication.

Secret positions go to selection.py. A secret mask is refused: the shape would depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor, public_values, refuse_leak
from . import selection
from .inplace import write
from .operands import engine_of, handle, result_dtype, settled, wrap
from .table import implements

aten = torch.ops.aten


def public_index(operation: Any, index: Any) -> Any:
    """The index as plain tensors; SecretLeakError where it is secret."""
    if isinstance(index, CrypTensor):
        if not index.is_public:
            refuse_leak(f"{operation} by a secret index or mask")
        return public_values(index)
    if isinstance(index, (list, tuple)):
        return [public_index(operation, part) for part in index]
    return index


def _one_secret(indices: list[Any]) -> int | None:
    """The place of the only index, where it is a secret one."""
    given = [d for d, positions in enumerate(indices) if positions is not None]
    if len(given) != 1 or not isinstance(indices[given[0]], CrypTensor):
        return None
    secret = indices[given[0]].dtype is not torch.bool and selection.is_secret(indices[given[0]])
    return given[0] if secret else None


@implements(aten.index.Tensor)
def index(x: Any, indices: Iterable[Any]) -> CrypTensor:
    """x[public indices or mask], or x[:, positions] for one tensor of secret positions."""
    indices = list(indices)
    dim = _one_secret(indices)
    if dim is not None:
        return selection.selected(x, dim, indices[dim])
    found = public_index("x[...]", indices)
    if not isinstance(x, CrypTensor):
        plain: CrypTensor = aten.index.Tensor(x, found)
        return plain
    moved = x._secret.rearrange(lambda s: aten.index.Tensor(s, found))
    return wrap(moved, x._engine, x.dtype)


@implements(aten.index_select.default)
def index_select(x: Any, dim: int, positions: Any) -> Any:
    if selection.is_secret(positions):
        return selection.selected(x, dim, positions)
    positions = public_index("index_select", positions)
    if not isinstance(x, CrypTensor):
        return torch.index_select(x, dim, positions)
    moved = x._secret.rearrange(lambda s: torch.index_select(s, dim, positions))
    return wrap(moved, x._engine, x.dtype)


@implements(aten.gather.default)
def gather(x: Any, dim: int, positions: Any, *, sparse_grad: bool = False) -> Any:
    if selection.is_secret(positions):
        return selection.gathered(x, dim, positions)
    positions = public_index("gather", positions)
    if not isinstance(x, CrypTensor):
        return torch.gather(x, dim, positions)
    moved = x._secret.rearrange(lambda s: torch.gather(s, dim, positions))
    return wrap(moved, x._engine, x.dtype)


@implements(aten.embedding.default)
def embedding(
    weight: Any,
    positions: Any,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Rows of a table at positions, either of them secret: shape positions.shape + (width,)."""
    if selection.is_secret(positions):
        return selection.selected(weight, 0, positions)
    positions = public_index("embedding", positions)
    if not isinstance(weight, CrypTensor):
        return torch.embedding(weight, positions)
    moved = weight._secret.rearrange(lambda s: s[positions])
    return wrap(moved, weight._engine, weight.dtype)


@implements(aten.embedding_dense_backward.default)
def embedding_dense_backward(
    grad: CrypTensor, positions: Any, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> CrypTensor:
    if scale_grad_by_freq:
        raise UnsupportedOperation("embedding with scale_grad_by_freq=True")
    if selection.is_secret(positions):
        return _secret_rows_added(grad, positions, rows, padding_idx)
    flat = public_index("embedding", positions).reshape(-1)
    kept = flat != padding_idx

    def place(share: torch.Tensor) -> torch.Tensor:
        source = share.reshape(-1, share.shape[-1])[kept]
        return source.new_zeros(rows, source.shape[1]).index_add_(0, flat[kept], source)

    return wrap(grad._secret.rearrange(place), grad._engine, grad.dtype)


def _secret_rows_added(grad: Any, positions: Any, rows: int, padding_idx: int) -> CrypTensor:
    engine = engine_of(grad, positions)
    flat = handle(engine, grad).rearrange(lambda s: s.reshape(-1, s.shape[-1]))
    zeros = torch.zeros(rows, grad.shape[-1])
    sums = selection.added(zeros, 0, positions, wrap(flat, engine, grad.dtype))
    if padding_idx < 0:
        return sums
    # Shares of zero: the row of the padding gets no gradient.
    row = torch.tensor([padding_idx])
    return wrap(sums._secret.rearrange(lambda s: s.index_fill(0, row, 0)), engine, grad.dtype)


def _placed(x: Any, source: Any, move: Any) -> CrypTensor:
    """move(x's share, source's share), for x with source written or added at public places."""
    engine = engine_of(x, source)
    parts = [settled(engine, x), settled(engine, source)]
    placed = engine.combine(parts, lambda shares: move(shares[0], shares[1]))
    return wrap(placed, engine, result_dtype(x, source))


@implements(aten.index_put.default, aten._unsafe_index_put.default)
def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> CrypTensor:
    indices = list(indices)
    if accumulate and _one_secret(indices) == 0:
        positions, width = indices[0], values.shape[indices[0].dim() :]
        engine = engine_of(values, positions)
        flat = handle(engine, values).rearrange(lambda s: s.reshape(-1, *width))
        return selection.added(x, 0, positions, wrap(flat, engine, values.dtype))
    found = public_index("x[...] = y", indices)
    return _placed(x, values, lambda s, v: aten.index_put.default(s, found, v, accumulate))


@implements(aten.index_add.default)
def index_add(x: Any, dim: int, positions: Any, source: Any, *, alpha: float = 1) -> CrypTensor:
    if alpha != 1:
        engine = engine_of(x, source)
        scaled = engine.scale(handle(engine, source), float(alpha))
        source = wrap(scaled, engine, source.dtype)
    if selection.is_secret(positions):
        return selection.added(x, dim, positions, source)
    positions = public_index("index_add", positions)
    return _placed(x, source, lambda s, v: s.index_add(dim, positions, v))


@implements(aten.scatter.src)
def scatter(x: Any, dim: int, positions: Any, source: Any) -> CrypTensor:
    if selection.is_secret(positions):
        return selection.scattered(x, dim, positions, source, add=False)
    positions = public_index("scatter", positions)
    return _placed(x, source, lambda s, v: s.scatter(dim, positions, v))


@implements(aten.scatter.value)
def scatter_value(x: Any, dim: int, positions: Any, value: float) -> CrypTensor:
    return scatter(x, dim, positions, torch.full(positions.shape, value, dtype=x.dtype))


@implements(aten.scatter_add.default)
def scatter_add(x: Any, dim: int, positions: Any, source: Any) -> CrypTensor:
    if selection.is_secret(positions):
        return selection.scattered(x, dim, positions, source, add=True)
    positions = public_index("scatter_add", positions)
    return _placed(x, source, lambda s, v: s.scatter_add(dim, positions, v))


@implements(aten.slice_scatter.default)
def slice_scatter(x: Any, source: Any, *args: Any, **kwargs: Any) -> CrypTensor:
    return _placed(x, source, lambda s, v: aten.slice_scatter.default(s, v, *args, **kwargs))


@implements(aten.select_scatter.default)
def select_scatter(x: Any, source: Any, dim: int, position: int) -> CrypTensor:
    return _placed(x, source, lambda s, v: aten.select_scatter.default(s, v, dim, position))


@implements(aten.copy_.default)
def copy_(x: Any, source: Any, non_blocking: bool = False) -> Any:
    """x.copy_(source), also x[i] = source through the view x[i]."""
    engine = engine_of(x, source)
    value = handle(engine, source)
    shape = list(x.shape)
    if list(value.shape) != shape:
        value = value.rearrange(lambda s: s.expand(shape))
    return write(x, value, "copy_")
