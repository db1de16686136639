# SPDX-License-Identifier: MIT
"""Upsampling and interpolation: a public matrix for each dimension, no round.

PyTorch's own kernel gives the matrix of a dimension by resampling the identity, so that scales,
corners and edges are its own. Choosing neighbours is exact; weights are rounded to the session's
precision and cost a truncation for each dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .. import _C
from ..errors import ShapeError
from ..tensor import CrypTensor
from .operands import encode_integers, settled, wrap
from .table import implements

aten = torch.ops.aten
# The matrix (new size, size) of one dimension, from size, new size and the scale if one is given.
Rows = Callable[[int, int, Any], torch.Tensor]


def _eye(size: int) -> torch.Tensor:
    return torch.eye(size, dtype=torch.float64)


def _nearest(kernel: Any) -> Rows:
    return lambda size, wanted, scale: kernel(_eye(size)[None], [wanted], scale)[0].t()


def _linear(align: bool) -> Rows:
    kernel = aten.upsample_linear1d.default
    return lambda size, wanted, scale: kernel(_eye(size)[None], [wanted], align, scale)[0].t()


def _of_images(kernel: Any) -> Callable[[bool], Rows]:
    """For kernels that take images only: the identity is one, resampled in its height."""

    def with_corners(align: bool) -> Rows:
        def rows(size: int, wanted: int, scale: Any) -> torch.Tensor:
            image = kernel(_eye(size)[None, None], [wanted, size], align, scale, None)
            columns: torch.Tensor = image[0, 0]
            return columns

        return rows

    return with_corners


def _matrices(rows: Rows, sizes: list[int], wanted: Any, scales: Any) -> list[torch.Tensor]:
    wanted = list(wanted)
    if len(sizes) != len(wanted) or min([*sizes, *wanted]) < 1:
        raise ShapeError(
            f"upsampling from {sizes} to {wanted}: there must be as many sizes, and each at least 1"
        )
    scales = scales or (None,) * len(sizes)
    return [rows(n, m, s) for n, m, s in zip(sizes, wanted, scales, strict=True)]


def _resampled(x: CrypTensor, matrices: list[torch.Tensor]) -> CrypTensor:
    """The last dimensions of x, each times its matrix."""
    engine = x._engine
    value = settled(engine, x)
    for dim, matrix in enumerate(matrices, -len(matrices)):
        if value.fraction_bits > engine.precision:
            value = engine.settle(value)
        moved = value.rearrange(lambda s, d=dim: s.transpose(d, -1).contiguous())
        product = engine.matmul(moved, _public(engine, matrix.t().contiguous()))
        value = product.rearrange(lambda s, d=dim: s.transpose(d, -1).contiguous())
    return wrap(value, engine, x.dtype)


def _public(engine: _C.Engine, matrix: torch.Tensor) -> _C.Secret:
    whole = bool((matrix == matrix.round()).all())
    return encode_integers(engine, matrix) if whole else engine.public(matrix)


def _choose(rows: Rows, n: int) -> tuple[Any, Any]:
    """Handlers of nearest neighbours in n dimensions, forward and backward."""

    def forward(x: CrypTensor, wanted: Any, *scales: Any) -> CrypTensor:
        return _resampled(x, _matrices(rows, list(x.shape[-n:]), wanted, scales))

    def backward(grad: CrypTensor, wanted: Any, sizes: Any, *scales: Any) -> CrypTensor:
        matrices = _matrices(rows, list(sizes)[-n:], wanted, scales)
        return _resampled(grad, [matrix.t() for matrix in matrices])

    return forward, backward


def _weigh(rows: Callable[[bool], Rows], n: int) -> tuple[Any, Any]:
    """The same with weights, which may align the corners."""

    def forward(x: CrypTensor, wanted: Any, align: bool, *scales: Any) -> CrypTensor:
        resampled: CrypTensor = _choose(rows(align), n)[0](x, wanted, *scales)
        return resampled

    def backward(grad: CrypTensor, wanted: Any, sizes: Any, align: bool, *scales: Any) -> Any:
        return _choose(rows(align), n)[1](grad, wanted, sizes, *scales)

    return forward, backward


_CUBIC = _of_images(aten.upsample_bicubic2d.default)
_SMOOTHED = _of_images(aten._upsample_bilinear2d_aa.default)
_SMOOTHED_CUBIC = _of_images(aten._upsample_bicubic2d_aa.default)

for _name, _handlers in {
    "upsample_nearest1d": _choose(_nearest(aten.upsample_nearest1d.default), 1),
    "upsample_nearest2d": _choose(_nearest(aten.upsample_nearest1d.default), 2),
    "upsample_nearest3d": _choose(_nearest(aten.upsample_nearest1d.default), 3),
    "_upsample_nearest_exact1d": _choose(_nearest(aten._upsample_nearest_exact1d.default), 1),
    "_upsample_nearest_exact2d": _choose(_nearest(aten._upsample_nearest_exact1d.default), 2),
    "_upsample_nearest_exact3d": _choose(_nearest(aten._upsample_nearest_exact1d.default), 3),
    "upsample_linear1d": _weigh(_linear, 1),
    "upsample_bilinear2d": _weigh(_linear, 2),
    "upsample_trilinear3d": _weigh(_linear, 3),
    "upsample_bicubic2d": _weigh(_CUBIC, 2),
    "_upsample_bilinear2d_aa": _weigh(_SMOOTHED, 2),
    "_upsample_bicubic2d_aa": _weigh(_SMOOTHED_CUBIC, 2),
}.items():
    implements(getattr(aten, _name).default)(_handlers[0])
    implements(getattr(aten, _name + "_backward").default)(_handlers[1])
