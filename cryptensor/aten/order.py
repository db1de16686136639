# SPDX-License-Identifier: MIT
"""Maxima, sorting and what is made of them: argmax, topk, median, kthvalue.

Choices are exact; among equal elements the first wins, and a gradient goes to it alone. Positions
are secret integers of dtype int64. A maximum of n costs at most ceil(log2 n) runs of 4 rounds; a
sort keeps the way of every element, so that its gradient goes back without a comparison.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _C
from ..errors import ShapeError
from ..tensor import CrypTensor
from .operands import encode_integers, settled, wants_gradient, wrap
from .table import implements

aten = torch.ops.aten

# Under this key positions remember the network that sorted them.
NETWORK = "sorting network"


def dimension(x: torch.Tensor, dim: int) -> int:
    """The dimension from 0; ShapeError where there is none."""
    size = max(x.dim(), 1)
    if not -size <= dim < size:
        raise ShapeError(f"dim is {dim}; it must be from {-size} to {size - 1}")
    return dim % size


def _rows(x: CrypTensor, dims: Any) -> tuple[_C.Secret, list[int]]:
    """x settled, with the reduced dimensions joined as the last; and the shape to keep them as."""
    taken = sorted({dimension(x, d) for d in dims}) if dims else list(range(x.dim()))
    kept = [d for d in range(x.dim()) if d not in taken]
    shape = [x.shape[d] for d in kept]
    count = 1
    for d in taken if x.dim() else []:
        count *= x.shape[d]
    _refuse_empty(count, "maximum")
    order = [*kept, *taken] if x.dim() else []
    rows = settled(x._engine, x).rearrange(lambda s: s.permute(order).reshape(*shape, count))
    return rows, [1 if d in taken else size for d, size in enumerate(x.shape)]


def _refuse_empty(count: int, what: str) -> None:
    if count == 0:
        raise ShapeError(f"the {what} of 0 elements: at least 1 is needed along the dimension")


def _negated(x: CrypTensor) -> CrypTensor:
    return wrap(x._engine.neg(x._secret), x._engine, x.dtype)


@implements(aten.amax.default)
def amax(x: CrypTensor, dims: Any = (), keepdim: bool = False) -> CrypTensor:
    """The maximum along dims, all of them for ()."""
    rows, full = _rows(x, dims)
    largest = x._engine.largest(rows, len(rows.shape) - 1)
    if keepdim:
        largest = largest.rearrange(lambda s: s.reshape(full))
    return wrap(largest, x._engine, x.dtype)


@implements(aten.amin.default)
def amin(x: CrypTensor, dims: Any = (), keepdim: bool = False) -> CrypTensor:
    return _negated(amax(_negated(x), dims, keepdim))


@implements(aten.aminmax.default)
def aminmax(
    x: CrypTensor, *, dim: int | None = None, keepdim: bool = False
) -> tuple[CrypTensor, CrypTensor]:
    dims = () if dim is None else (dim,)
    return amin(x, dims, keepdim), amax(x, dims, keepdim)


@implements(aten.max.default)
def max_all(x: CrypTensor) -> CrypTensor:
    return amax(x)


@implements(aten.min.default)
def min_all(x: CrypTensor) -> CrypTensor:
    return amin(x)


@implements(aten.max.dim)
def max_dim(x: CrypTensor, dim: int, keepdim: bool = False) -> tuple[CrypTensor, CrypTensor]:
    """The maximum along dim and the position of the first one."""
    engine = x._engine
    rows, full = _rows(x, (dim,))
    values, positions = engine.largest_with_index(rows, len(rows.shape) - 1)
    if keepdim:
        values, positions = (v.rearrange(lambda s: s.reshape(full)) for v in (values, positions))
    return wrap(values, engine, x.dtype), wrap(positions, engine, torch.int64)


@implements(aten.min.dim)
def min_dim(x: CrypTensor, dim: int, keepdim: bool = False) -> tuple[CrypTensor, CrypTensor]:
    values, positions = max_dim(_negated(x), dim, keepdim)
    return _negated(values), positions


@implements(aten.argmax.default)
def argmax(x: CrypTensor, dim: int | None = None, keepdim: bool = False) -> CrypTensor:
    """The position of the first maximum, in the flattened tensor for dim=None."""
    engine = x._engine
    rows, full = _rows(x, () if dim is None else (dim,))
    positions = engine.largest_with_index(rows, len(rows.shape) - 1)[1]
    if keepdim:
        positions = positions.rearrange(lambda s: s.reshape(full))
    return wrap(positions, engine, torch.int64)


@implements(aten.argmin.default)
def argmin(x: CrypTensor, dim: int | None = None, keepdim: bool = False) -> CrypTensor:
    return argmax(_negated(x), dim, keepdim)


def _sorted(
    x: CrypTensor, dim: int, descending: bool, stable: bool = False
) -> tuple[_C.Secret, _C.Secret, Any, int, int]:
    """Sorted values, positions, network, and where: dimension and its size."""
    engine, dim = x._engine, dimension(x, dim)
    value = settled(engine, x)
    if x.dim() == 0:
        value = value.rearrange(lambda s: s.reshape(1))
    size = value.shape[dim]
    if not stable or size < 2:
        return *engine.sort_with_index(value, dim, descending), dim, size
    bits = (size - 1).bit_length()
    keys = _distinct(engine, value, dim, descending, bits)
    keys, positions, network = engine.sort_with_index(keys, dim, descending)
    values = engine.scale(engine.truncate(keys, bits, "default"), 2.0**-bits)
    return values, positions, network, dim, size


def _distinct(
    engine: _C.Engine, value: _C.Secret, dim: int, descending: bool, bits: int
) -> _C.Secret:
    """The value with its place in `bits` more bits below: a network alone is not stable."""
    places = torch.arange(value.shape[dim])
    places = places.flip(0) if descending else places
    shape = [-1 if d == dim else 1 for d in range(len(value.shape))]
    low = engine.scale(encode_integers(engine, places.reshape(shape)), 2.0**-value.fraction_bits)
    return engine.add(engine.scale(value, 2.0**bits), low)


def _part(
    x: CrypTensor, values: _C.Secret, positions: _C.Secret, network: Any, size: int, take: Any
) -> tuple[CrypTensor, CrypTensor]:
    """The sorted values and positions that `take` selects, ready for a gradient."""
    if x.dim() == 0:
        values, positions = (v.rearrange(lambda s: s.reshape(())) for v in (values, positions))
    else:
        values, positions = (v.rearrange(take) for v in (values, positions))
    result = wrap(positions, x._engine, torch.int64)
    if wants_gradient(x) and x.dim():
        result._memo.keep(NETWORK, positions, (network, size))
    return wrap(values, x._engine, x.dtype), result


@implements(aten.sort.stable)
def sort_stable(
    x: CrypTensor, *, stable: bool | None = False, dim: int = -1, descending: bool = False
) -> tuple[CrypTensor, CrypTensor]:
    """Values in order and the positions that they had.

    stable: equal ones keep their order. It costs a truncation, and log2(n) bits of the range:
    |x| < 2^(46 - log2(n)) for 16 fraction bits.
    """
    values, positions, network, _, size = _sorted(x, dim, descending, bool(stable))
    return _part(x, values, positions, network, size, lambda s: s)


@implements(aten.sort.default)
def sort(x: CrypTensor, dim: int = -1, descending: bool = False) -> tuple[CrypTensor, CrypTensor]:
    return sort_stable(x, dim=dim, descending=descending)


@implements(aten.argsort.default)
def argsort(x: CrypTensor, dim: int = -1, descending: bool = False) -> CrypTensor:
    return sort_stable(x, dim=dim, descending=descending)[1]


@implements(aten.argsort.stable)
def argsort_stable(
    x: CrypTensor, *, stable: bool, dim: int = -1, descending: bool = False
) -> CrypTensor:
    return sort_stable(x, stable=stable, dim=dim, descending=descending)[1]


@implements(aten.msort.default)
def msort(x: CrypTensor) -> CrypTensor:
    value = x._engine.sort(settled(x._engine, x), 0, False) if x.dim() else x._secret
    return wrap(value, x._engine, x.dtype)


@implements(aten.topk.default)
def topk(
    x: CrypTensor, k: int, dim: int = -1, largest: bool = True, in_order: bool = True
) -> tuple[CrypTensor, CrypTensor]:
    """The k largest in order and their positions. Cost: a maximum for k = 1, else a whole sort."""
    dim = dimension(x, dim)
    size = x.shape[dim] if x.dim() else 1
    if not 0 <= k <= size:
        raise ShapeError(f"topk: k is {k}; it must be from 0 to {size}, the size of dim {dim}")
    if k == 1 and x.dim():
        return (max_dim if largest else min_dim)(x, dim, True)
    values, positions, network, dim, size = _sorted(x, dim, largest)
    return _part(x, values, positions, network, size, lambda s: s.narrow(dim, 0, k))


@implements(aten.kthvalue.default)
def kthvalue(
    x: CrypTensor, k: int, dim: int = -1, keepdim: bool = False
) -> tuple[CrypTensor, CrypTensor]:
    """The k-th smallest along dim and a position of it. Cost: a sort."""
    dim = dimension(x, dim)
    size = x.shape[dim] if x.dim() else 1
    if not 1 <= k <= size:
        raise ShapeError(f"kthvalue: k is {k}; it must be from 1 to {size}, the size of dim {dim}")
    values, positions, _, dim, _ = _sorted(x, dim, False)

    def take(share: torch.Tensor) -> torch.Tensor:
        if x.dim() == 0:
            return share.reshape(())
        return share.narrow(dim, k - 1, 1) if keepdim else share.select(dim, k - 1)

    result = wrap(positions.rearrange(take), x._engine, torch.int64)
    return wrap(values.rearrange(take), x._engine, x.dtype), result


@implements(aten.median.dim)
def median_dim(x: CrypTensor, dim: int, keepdim: bool = False) -> tuple[CrypTensor, CrypTensor]:
    """The lower of the two middle ones where their number is even."""
    size = x.shape[dimension(x, dim)] if x.dim() else 1
    _refuse_empty(size, "median")
    return kthvalue(x, (size + 1) // 2, dim, keepdim)


@implements(aten.median.default)
def median(x: CrypTensor) -> CrypTensor:
    _refuse_empty(x.numel(), "median")
    flat = settled(x._engine, x).rearrange(lambda s: s.reshape(-1))
    middle = (x.numel() - 1) // 2
    ordered = x._engine.sort(flat, 0, False)
    return wrap(ordered.rearrange(lambda s: s[middle]), x._engine, x.dtype)
