# SPDX-License-Identifier: MIT
"""Reading and writing at secret positions: a one-hot row for each, then one product.

Positions are secret integers from 0 to size - 1; nobody learns where was read. Another position
gives an unspecified row, not an error. Cost: the one-hot rows, which are kept with the positions,
and a product of positions x size; a product with a public table is local.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _C
from ..errors import ShapeError
from ..tensor import CrypTensor, refuse_leak
from .operands import bits, engine_of, factor, handle, result_dtype, settled, wrap
from .order import NETWORK
from .table import implements

aten = torch.ops.aten


def is_secret(positions: Any) -> bool:
    """True for secret integers; a secret mask raises SecretLeakError."""
    if not isinstance(positions, CrypTensor) or positions.is_public:
        return False
    if positions.dtype is torch.bool or positions.dtype.is_floating_point:
        refuse_leak(f"indexing by a secret of dtype {positions.dtype}; int64 positions may be,")
    return True


def one_hot_rows(positions: CrypTensor, size: int) -> _C.Secret:
    """Bits of shape positions.shape + (size,), computed once for the positions."""
    if size < 1:
        raise ShapeError(f"a secret position in a dimension of {size}; it must have an element")
    found: _C.Secret | None = positions._memo.find(("one-hot", size), positions._secret)
    if found is not None:
        return found
    engine = positions._engine
    rows = engine.one_hot(bits(engine, positions), size)
    return positions._memo.keep(("one-hot", size), positions._secret, rows)


@implements(aten.one_hot.default)
def one_hot(positions: CrypTensor, size: int = -1) -> CrypTensor:
    """F.one_hot with the number of classes given: ShapeError for -1, which depends on secrets."""
    if size < 1:
        raise ShapeError(f"one_hot: num_classes is {size}; it must be given, and at least 1")
    return wrap(one_hot_rows(positions, size), positions._engine, torch.int64)


def selected(x: Any, dim: int, positions: CrypTensor) -> CrypTensor:
    """index_select by secret positions of any shape, which takes the place of dim."""
    engine = engine_of(x, positions)
    dim = dim % x.dim()
    shape = list(x.shape)
    rows = one_hot_rows(positions, shape[dim]).rearrange(lambda s: s.flatten(0, -2))
    table = factor(engine, x).rearrange(lambda s: s.movedim(dim, 0).flatten(1))
    picked = engine.matmul(rows, table)
    rest = shape[:dim] + shape[dim + 1 :]
    count = positions.dim()
    source, target = list(range(count)), list(range(dim, dim + count))

    def place(share: torch.Tensor) -> torch.Tensor:
        return share.reshape(*positions.shape, *rest).movedim(source, target)

    return wrap(picked.rearrange(place), engine, x.dtype)


def added(x: Any, dim: int, positions: CrypTensor, source: Any) -> CrypTensor:
    """index_add by secret positions (one dimension): also the gradient of selected()."""
    engine = engine_of(x, positions, source)
    dim = dim % x.dim()
    shape = list(x.shape)
    columns = one_hot_rows(positions, shape[dim]).rearrange(lambda s: s.flatten(0, -2).t())
    rows = factor(engine, source).rearrange(lambda s: s.movedim(dim, 0).flatten(1))
    rest = shape[:dim] + shape[dim + 1 :]
    total = engine.matmul(columns, rows)
    total = total.rearrange(lambda s: s.reshape(shape[dim], *rest).movedim(0, dim))
    return wrap(engine.add(handle(engine, x), total), engine, result_dtype(x, source))


def gathered(x: Any, dim: int, positions: CrypTensor) -> CrypTensor:
    """torch.gather by secret positions."""
    engine = engine_of(x, positions)
    dim = dim % max(x.dim(), 1)
    if x.dim() == 0:
        return wrap(handle(engine, x), engine, x.dtype)
    inside: Any = tuple(
        slice(None) if d == dim else slice(0, size) for d, size in enumerate(positions.shape)
    )
    rows = one_hot_rows(positions, x.shape[dim]).rearrange(lambda s: s.movedim(dim, -2))
    table = factor(engine, x).rearrange(lambda s: s[inside].movedim(dim, -1).unsqueeze(-1))
    picked = engine.matmul(rows, table)
    return wrap(picked.rearrange(lambda s: s.squeeze(-1).movedim(-1, dim)), engine, x.dtype)


def scattered(x: Any, dim: int, positions: CrypTensor, source: Any, add: bool) -> CrypTensor:
    """scatter and scatter_add by secret positions.

    Without `add`, each position along dim may occur once; into zeros that makes no difference.
    Positions of a sort go back through its network.
    """
    engine = engine_of(x, positions, source)
    dtype = result_dtype(x, source)
    if x.dim() == 0:
        both = engine.add(handle(engine, x), handle(engine, source)) if add else None
        return wrap(handle(engine, source) if both is None else both, engine, dtype)
    dim = dim % x.dim()
    network = positions._memo.find(NETWORK, positions._secret)
    if network is not None and list(source.shape) == list(positions.shape):
        moved = _through_network(engine, source, dim, *network)
        if list(moved.shape) == list(x.shape) and (add or _is_zero(x)):
            return wrap(engine.add(handle(engine, x), moved), engine, dtype)
    inside: Any = tuple(slice(0, size) for size in positions.shape)
    # Columns of one-hot bits (..., size of dim, k) times the k values that go there.
    columns = one_hot_rows(positions, x.shape[dim]).rearrange(
        lambda s: s.movedim(dim, -2).transpose(-1, -2)
    )
    values = factor(engine, source).rearrange(lambda s: s[inside].movedim(dim, -1).unsqueeze(-1))
    placed = engine.matmul(columns, values).rearrange(lambda s: s.squeeze(-1).movedim(-1, dim))
    placed = _padded(placed, x.shape)
    if add or _is_zero(x):
        return wrap(engine.add(handle(engine, x), placed), engine, dtype)
    occupied = engine.sum(columns, [x.dim()], False).rearrange(lambda s: s.movedim(-1, dim))
    kept = settled(engine, x)
    kept = engine.sub(kept, engine.mul(_padded(occupied, x.shape), kept))
    return wrap(engine.add(kept, placed), engine, dtype)


def _padded(value: _C.Secret, shape: Any) -> _C.Secret:
    """Zeros behind the value in every dimension, up to the shape."""
    pads: list[int] = []
    for size, wanted in zip(reversed(value.shape), reversed(list(shape)), strict=True):
        pads += [0, wanted - size]
    return value.rearrange(lambda s: torch.nn.functional.pad(s, pads)) if any(pads) else value


def _is_zero(x: Any) -> bool:
    """Is x known to every party to be 0?"""
    if isinstance(x, CrypTensor):
        return x.is_public and not bool(x._secret.public_value().any())
    return not bool(x.any())


def _through_network(
    engine: _C.Engine, source: Any, dim: int, network: Any, size: int
) -> _C.Secret:
    shape = list(source.shape)
    shape[dim] = size
    return engine.unsort(network, _padded(settled(engine, source), shape))
