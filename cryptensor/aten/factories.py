# SPDX-License-Identifier: MIT
"""New tensors like a given one. Their values are public, so products with them stay local.

Writing a secret into one makes it secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..tensor import CrypTensor
from .operands import encode, handle, wrap
from .table import implements

aten = torch.ops.aten


def public(
    x: CrypTensor, size: Any, fill: float, dtype: torch.dtype | None, strides: Any = None
) -> CrypTensor:
    """A CrypTensor of public value, in the session of x."""
    dtype = x.dtype if dtype is None else dtype
    plain = torch.full(tuple(size), fill, dtype=dtype)
    if strides is not None:
        plain = torch.empty_strided(tuple(size), tuple(strides), dtype=dtype).fill_(fill)
    value = encode(x._engine, plain)
    if strides is not None and list(value.strides) != list(strides):
        value = value.rearrange(lambda s: s.new_empty_strided(tuple(size), tuple(strides)).copy_(s))
    return wrap(value, x._engine, dtype)


def _like(fill: float) -> Callable[..., CrypTensor]:
    def handler(x: CrypTensor, *, dtype: torch.dtype | None = None, **kwargs: Any) -> CrypTensor:
        return public(x, x.shape, fill, dtype)

    return handler


def _new(fill: float) -> Callable[..., CrypTensor]:
    def handler(
        x: CrypTensor, size: list[int], *, dtype: torch.dtype | None = None, **kwargs: Any
    ) -> CrypTensor:
        return public(x, size, fill, dtype)

    return handler


implements(aten.zeros_like.default, aten.empty_like.default)(_like(0))
implements(aten.ones_like.default)(_like(1))
implements(aten.new_zeros.default, aten.new_empty.default)(_new(0))
implements(aten.new_ones.default)(_new(1))


@implements(aten.full_like.default)
def full_like(
    x: CrypTensor, fill: float, *, dtype: torch.dtype | None = None, **kwargs: Any
) -> CrypTensor:
    return public(x, x.shape, fill, dtype)


@implements(aten.new_full.default)
def new_full(
    x: CrypTensor, size: list[int], fill: float, *, dtype: torch.dtype | None = None, **kwargs: Any
) -> CrypTensor:
    return public(x, size, fill, dtype)


@implements(aten.new_empty_strided.default)
def new_empty_strided(
    x: CrypTensor,
    size: list[int],
    strides: list[int],
    *,
    dtype: torch.dtype | None = None,
    **kwargs: Any,
) -> CrypTensor:
    return public(x, size, 0, dtype, strides)


@implements(aten.zero.default)
def zero(x: CrypTensor) -> CrypTensor:
    return public(x, x.shape, 0, None)


@implements(aten.fill.Scalar, aten.fill.Tensor)
def fill(x: CrypTensor, value: Any) -> CrypTensor:
    shape = list(x.shape)
    filled = handle(x._engine, value).rearrange(lambda s: s.expand(shape).clone())
    return wrap(filled, x._engine, x.dtype)
