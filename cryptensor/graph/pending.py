# SPDX-License-Identifier: MIT
"""A product that is split for several further products loses its extra bits once, before the split.

A product waits with its truncation for what follows. Where queries, keys and values are pieces of
one, each piece would be truncated in a round of its own.
"""

from __future__ import annotations

from typing import Any

import torch

from ..aten.operands import settled, wants_gradient, wrap
from ..tensor import CrypTensor
from .program import PRODUCTS, Program, aten, items, users_behind_views

_PRODUCTS = {*PRODUCTS, aten.scaled_dot_product_attention.default}
_VIEWS = {
    aten.reshape.default,
    aten.transpose.int,
    aten.permute.default,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.unflatten.int,
    aten.flatten.using_ints,
    aten.clone.default,
    aten.contiguous.default,
    aten.expand.default,
    aten.t.default,
}
_SPLITS = {
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.chunk.default,
    aten.unbind.int,
}
_PIECES = {aten.select.int, aten.slice.Tensor}
_SOURCES = (aten.linear.default, aten.addmm.default, aten.mm.default, aten.matmul.default)


class _Truncated(torch.autograd.Function):
    """The same value: its gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor) -> CrypTensor:
        return wrap(settled(x._engine, x), x._engine, x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad


def truncated(x: Any) -> Any:
    """x itself; of a secret product, with its truncation done. Cost: one round, 1 bit each."""
    if not isinstance(x, CrypTensor) or x._secret.fraction_bits <= x._engine.precision:
        return x
    if wants_gradient(x):
        return _Truncated.apply(x)
    return wrap(settled(x._engine, x), x._engine, x.dtype)


def truncate_once(program: Program) -> None:
    """Puts truncated() behind each product of which two or more pieces enter products."""
    for source in program.calls(*_SOURCES):
        pieces = 0
        for user in users_behind_views(source, _VIEWS):
            if user.target in _SPLITS:
                found = [part for parts in items(user).values() for part in parts]
            else:
                found = [user] if user.target in _PIECES else []
            pieces += sum(_multiplied(piece) for piece in found)
        if pieces > 1:
            with program.graph.inserting_after(source):
                node = program.graph.call_function(truncated, (source,))
            node.meta = dict(source.meta)
            source.replace_all_uses_with(
                node,
                delete_user_cb=lambda user, new=node: user is not new,  # type: ignore[misc]
            )


def _multiplied(piece: Any) -> bool:
    return any(user.target in _PRODUCTS for user in users_behind_views(piece, _VIEWS))
