# SPDX-License-Identifier: MIT
"""Averages over windows, adaptive ones too: local sums and one public factor, no communication.

A sum over windows is a product with a public 0/1 matrix along each dimension, and its gradient one
with the transposed matrix.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _C
from ..tensor import CrypTensor
from .arithmetic import divided
from .convolution import spread
from .operands import encode_integers, handle, settled, wrap
from .pooling import check_dimensions
from .table import implements
from .windows import Table, adaptive, membership, sliding

aten = torch.ops.aten


def _along(engine: _C.Engine, value: _C.Secret, matrices: list[torch.Tensor]) -> _C.Secret:
    """Each of the last dimensions times its 0/1 matrix (new size, size)."""
    for back, matrix in enumerate(reversed(matrices)):
        if matrix.shape[0] == matrix.shape[1] and bool((matrix == torch.eye(len(matrix))).all()):
            continue
        turned = encode_integers(engine, matrix.t().contiguous())
        dim = -1 - back
        moved = value.rearrange(lambda s, d=dim: s.transpose(d, -1).contiguous())
        summed = engine.matmul(moved, turned)
        value = summed.rearrange(lambda s, d=dim: s.transpose(d, -1).contiguous())
    return value


def _divided(engine: _C.Engine, value: _C.Secret, counts: list[torch.Tensor]) -> _C.Secret:
    """Each window's value by the product of its counts."""
    total: torch.Tensor = counts[0].double()
    for count in counts[1:]:
        total = total.unsqueeze(-1) * count.double()
    if bool((total == total.flatten()[0]).all()):
        return divided(engine, value, float(total.flatten()[0]))
    if value.fraction_bits > engine.precision:
        value = engine.settle(value)
    return engine.mul(value, handle(engine, 1.0 / total))


def _averaged(x: CrypTensor, tables: list[Table], counts: list[torch.Tensor]) -> CrypTensor:
    matrices = _matrices(tables, x)
    total = _along(x._engine, settled(x._engine, x), matrices)
    return wrap(_divided(x._engine, total, counts), x._engine, x.dtype)


def _spread(
    grad: CrypTensor, x: Any, tables: list[Table], counts: list[torch.Tensor]
) -> CrypTensor:
    """The gradient: each window's share of it to all of its elements."""
    engine = grad._engine
    parts = wrap(_divided(engine, settled(engine, grad), counts), engine, grad.dtype)
    turned = [matrix.t() for matrix in _matrices(tables, x)]
    return wrap(_along(engine, settled(engine, parts), turned), engine, grad.dtype)


def _matrices(tables: list[Table], x: Any) -> list[torch.Tensor]:
    sizes = x.shape[-len(tables) :]
    return [membership(table, size) for table, size in zip(tables, sizes, strict=True)]


def _counts(
    tables: list[Table], x: Any, padding: Any, count_pad: bool, divisor: int | None
) -> list[torch.Tensor]:
    """For each dimension, by how much a window's sum is divided."""
    n = len(tables)
    if divisor:
        ones = [torch.ones(len(table)) for table in tables]
        return [ones[0] * divisor, *ones[1:]]
    counts = []
    for table, size, pad in zip(tables, x.shape[-n:], spread(padding, n), strict=True):
        reach = pad if count_pad else 0
        counts.append(((table >= -reach) & (table < size + reach)).sum(1))
    return counts


def _geometry(
    x: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, n: int
) -> list[Table]:
    check_dimensions(x, n, "avg_pool")
    return sliding(list(x.shape[-n:]), kernel, stride, padding, 1, ceil_mode)


def _average(n: int) -> Any:
    def handler(
        x: CrypTensor,
        kernel: Any,
        stride: Any = (),
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
    ) -> CrypTensor:
        tables = _geometry(x, kernel, stride, padding, ceil_mode, n)
        return _averaged(x, tables, _counts(tables, x, padding, count_include_pad, divisor))

    return handler


def _average_backward(n: int) -> Any:
    def handler(
        grad: CrypTensor,
        x: Any,
        kernel: Any,
        stride: Any,
        padding: Any,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None,
    ) -> CrypTensor:
        tables = _geometry(x, kernel, stride, padding, ceil_mode, n)
        counts = _counts(tables, x, padding, count_include_pad, divisor)
        return _spread(grad, x, tables, counts)

    return handler


def _adaptive(n: int) -> Any:
    def handler(x: CrypTensor, output: Any) -> CrypTensor:
        check_dimensions(x, n, "adaptive_avg_pool")
        tables = adaptive(list(x.shape[-n:]), list(output))
        return _averaged(x, tables, _counts(tables, x, 0, False, None))

    return handler


def _adaptive_backward(n: int) -> Any:
    def handler(grad: CrypTensor, x: Any) -> CrypTensor:
        tables = adaptive(list(x.shape[-n:]), list(grad.shape[-n:]))
        return _spread(grad, x, tables, _counts(tables, x, 0, False, None))

    return handler


implements(aten.avg_pool2d.default)(_average(2))
implements(aten.avg_pool3d.default)(_average(3))
implements(aten.avg_pool2d_backward.default)(_average_backward(2))
implements(aten.avg_pool3d_backward.default)(_average_backward(3))
implements(aten._adaptive_avg_pool2d.default)(_adaptive(2))
implements(aten._adaptive_avg_pool3d.default)(_adaptive(3))
implements(aten._adaptive_avg_pool2d_backward.default)(_adaptive_backward(2))
implements(aten._adaptive_avg_pool3d_backward.default)(_adaptive_backward(3))
