# SPDX-License-Identifier: MIT
"""Views and copies: the same ATen operation on each share tensor. No communication.

A view shares the storage, the version and the cached opening of the value that it looks into.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .operands import engine_of, handle, result_dtype, same_value, wrap
from .table import implements

aten = torch.ops.aten

VIEWS = (
    aten.view.default,
    aten._unsafe_view.default,
    aten._reshape_alias.default,
    aten.t.default,
    aten.transpose.int,
    aten.permute.default,
    aten.expand.default,
    aten.unsqueeze.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.slice.Tensor,
    aten.select.int,
    aten.diagonal.default,
    aten.as_strided.default,
    aten.unfold.default,
)
MANY_VIEWS = (
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.unbind.int,
    aten.unsafe_split.Tensor,
    aten.unsafe_split_with_sizes.default,
)
COPIES = (
    aten.repeat.default,
    aten.flip.default,
    aten.roll.default,
    aten.tril.default,
    aten.triu.default,
    aten.diag_embed.default,
    aten.reflection_pad1d.default,
    aten.reflection_pad2d.default,
    aten.replication_pad1d.default,
    aten.replication_pad2d.default,
    aten.pixel_shuffle.default,
    # Backward formulas of views: the gradient is placed into zeros, which are valid shares.
    aten.slice_backward.default,
    aten.select_backward.default,
    aten.diagonal_backward.default,
    aten.unfold_backward.default,
)


def _view(operation: Any) -> Any:
    def handler(x: CrypTensor, *args: Any, **kwargs: Any) -> CrypTensor:
        return same_value(x, x._secret.rearrange(lambda s: operation(s, *args, **kwargs)))

    return handler


def _many_views(operation: Any) -> Any:
    def handler(x: CrypTensor, *args: Any, **kwargs: Any) -> list[CrypTensor]:
        parts = x._secret.rearrange_many(lambda s: list(operation(s, *args, **kwargs)))
        return [same_value(x, part) for part in parts]

    return handler


def _copy(operation: Any) -> Any:
    def handler(x: CrypTensor, *args: Any, **kwargs: Any) -> CrypTensor:
        moved = x._secret.rearrange(lambda s: operation(s, *args, **kwargs))
        return wrap(moved, x._engine, x.dtype)

    return handler


for _operation in VIEWS:
    implements(_operation)(_view(_operation))
for _operation in MANY_VIEWS:
    implements(_operation)(_many_views(_operation))
for _operation in COPIES:
    implements(_operation)(_copy(_operation))


@implements(aten.detach.default, aten.alias.default, aten.lift_fresh.default)
def alias(x: CrypTensor) -> CrypTensor:
    """The same handle under a new wrapper: results remembered for the value stay known."""
    return same_value(x, x._secret, x._memo)


@implements(aten.clone.default, aten.lift_fresh_copy.default)
def clone(x: CrypTensor, memory_format: Any = None) -> CrypTensor:
    kwargs = {} if memory_format is None else {"memory_format": memory_format}
    return wrap(x._secret.rearrange(lambda s: s.clone(**kwargs)), x._engine, x.dtype)


@implements(aten.contiguous.default)
def contiguous(x: CrypTensor, memory_format: Any = torch.contiguous_format) -> CrypTensor:
    return x if x.is_contiguous(memory_format=memory_format) else clone(x, memory_format)


@implements(aten._to_copy.default)
def to_copy(
    x: CrypTensor,
    *,
    dtype: torch.dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    non_blocking: bool = False,
    memory_format: Any = None,
) -> CrypTensor:
    """x.to(dtype): only what PyTorch sees changes, the handle knows its own encoding.

    Raises UnsupportedOperation for another device, and for a number as bool or integer, which
    needs a comparison or a rounding: write x != 0 for the first.
    """
    if device is not None and torch.device(device).type != "cpu":
        advice = ""
        if torch.device(device).type == "meta":
            advice = "; jvp, jacfwd and hessian of torch.func ask for it: use grad, vjp or jacrev"
        raise UnsupportedOperation(
            f"x.to({str(device)!r}): the shares of a session stay on the cpu{advice}"
        )
    dtype = x.dtype if dtype is None else dtype
    if dtype.is_complex:
        raise UnsupportedOperation("x.to(complex): there are no complex secrets")
    if x.dtype.is_floating_point and not dtype.is_floating_point:
        raise UnsupportedOperation(f"x.to({dtype}) of a fixed-point secret: write x != 0 for bool")
    if dtype == torch.bool and x.dtype != torch.bool:
        raise UnsupportedOperation("x.to(torch.bool) of secret integers: write x != 0")
    copied = clone(x, memory_format)
    return copied if dtype is x.dtype else wrap(copied._secret, x._engine, dtype)


def _combined(tensors: list[Any], move: Any) -> CrypTensor:
    engine = engine_of(*tensors)
    dtype = tensors[0].dtype
    for tensor in tensors:
        if tensor.dtype is not dtype:
            dtype = result_dtype(torch.empty(1, dtype=dtype), tensor)
    return wrap(engine.combine([handle(engine, t) for t in tensors], move), engine, dtype)


@implements(aten.cat.default)
def cat(tensors: list[Any], dim: int = 0) -> CrypTensor:
    return _combined(tensors, lambda shares: torch.cat(shares, dim))


@implements(aten.stack.default)
def stack(tensors: list[Any], dim: int = 0) -> CrypTensor:
    return _combined(tensors, lambda shares: torch.stack(shares, dim))


@implements(aten.constant_pad_nd.default)
def constant_pad(x: CrypTensor, pad: list[int], value: float = 0) -> CrypTensor:
    """F.pad: zeros are valid shares; another value is added to the border as a public number."""
    padded = x._secret.rearrange(lambda s: aten.constant_pad_nd.default(s, pad, 0))
    if value != 0:
        inside = torch.zeros(x.shape, dtype=torch.float64)
        border = aten.constant_pad_nd.default(inside, pad, float(value))
        padded = x._engine.add(padded, handle(x._engine, border))
    return wrap(padded, x._engine, x.dtype)
