# SPDX-License-Identifier: MIT
"""Indexing by public positions, and its backward formulas. No communication.

Which memory is read depends on the index, so a secret index or mask is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor, public_values, refuse_leak
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


@implements(aten.index.Tensor)
def index(x: Any, indices: Iterable[Any]) -> CrypTensor:
    """x[public indices or mask]."""
    found = public_index("x[...]", list(indices))
    if not isinstance(x, CrypTensor):
        return aten.index.Tensor(x, found)
    moved = x._secret.rearrange(lambda s: aten.index.Tensor(s, found))
    return wrap(moved, x._engine, x.dtype)


@implements(aten.index_select.default)
def index_select(x: Any, dim: int, positions: Any) -> Any:
    positions = public_index("index_select", positions)
    if not isinstance(x, CrypTensor):
        return torch.index_select(x, dim, positions)
    moved = x._secret.rearrange(lambda s: torch.index_select(s, dim, positions))
    return wrap(moved, x._engine, x.dtype)


@implements(aten.gather.default)
def gather(x: Any, dim: int, positions: Any, *, sparse_grad: bool = False) -> Any:
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
    """Rows of a secret table at public positions: shape positions.shape + (width,)."""
    if isinstance(positions, CrypTensor) and not positions.is_public:
        raise UnsupportedOperation(
            "aten.embedding with secret positions; multiply a secret one-hot matrix with the table"
        )
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
    flat = public_index("embedding", positions).reshape(-1)
    kept = flat != padding_idx

    def place(share: torch.Tensor) -> torch.Tensor:
        source = share.reshape(-1, share.shape[-1])[kept]
        return source.new_zeros(rows, source.shape[1]).index_add_(0, flat[kept], source)

    return wrap(grad._secret.rearrange(place), grad._engine, grad.dtype)


def _placed(x: Any, source: Any, move: Any) -> CrypTensor:
    """move(x's share, source's share), for x with source written or added at public places."""
    engine = engine_of(x, source)
    parts = [settled(engine, x), settled(engine, source)]
    placed = engine.combine(parts, lambda shares: move(shares[0], shares[1]))
    return wrap(placed, engine, result_dtype(x, source))


@implements(aten.index_put.default, aten._unsafe_index_put.default)
def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> CrypTensor:
    found = public_index("x[...] = y", list(indices))
    return _placed(x, values, lambda s, v: aten.index_put.default(s, found, v, accumulate))


@implements(aten.index_add.default)
def index_add(x: Any, dim: int, positions: Any, source: Any, *, alpha: float = 1) -> CrypTensor:
    positions = public_index("index_add", positions)
    if alpha != 1:
        engine = engine_of(x, source)
        scaled = engine.scale(handle(engine, source), float(alpha))
        source = wrap(scaled, engine, source.dtype)
    return _placed(x, source, lambda s, v: s.index_add(dim, positions, v))


@implements(aten.scatter.src)
def scatter(x: Any, dim: int, positions: Any, source: Any) -> CrypTensor:
    positions = public_index("scatter", positions)
    return _placed(x, source, lambda s, v: s.scatter(dim, positions, v))


@implements(aten.scatter_add.default)
def scatter_add(x: Any, dim: int, positions: Any, source: Any) -> CrypTensor:
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
