# SPDX-License-Identifier: MIT
"""Operations that are refused by name: reads of a secret, and functions without a protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..tensor import CrypTensor, public_values, refuse_leak
from .fallback import refusal
from .table import implements

aten = torch.ops.aten

_READS = {
    aten.nonzero.default: "nonzero, whose shape depends on the values,",
    aten.nonzero_static.default: "nonzero_static",
    aten.masked_select.default: "masked_select, whose shape depends on the mask,",
    aten.is_nonzero.default: "bool(x)",
    aten.equal.default: "torch.equal",
    aten.allclose.default: "torch.allclose",
    aten._unique2.default: "unique, whose shape depends on the values,",
    aten.unique_dim.default: "unique, whose shape depends on the values,",
    aten.unique_consecutive.default: "unique, whose shape depends on the values,",
    aten.bincount.default: "bincount, whose shape depends on the values,",
    aten.histc.default: "histc",
    aten.set_.default: "set_",
    aten.set_.source_Tensor: "set_",
    aten.set_.source_Storage: "set_",
    aten.set_.source_Storage_storage_offset: "set_",
    aten.repeat_interleave.Tensor: "repeat_interleave by secret counts",
}

_NO_ROUNDING = "Rounding needs the fraction bits of a secret, which have no protocol yet."
_NO_SAMPLING = "Sampling by secret probabilities has no protocol yet."
_NO_ORDER = "Use torch.sort or torch.topk; running maxima and modes have no protocol."

_WITHOUT_PROTOCOL = {
    _NO_ROUNDING: (
        aten.floor.default,
        aten.ceil.default,
        aten.round.default,
        aten.round.decimals,
        aten.trunc.default,
        aten.frac.default,
        aten.remainder.Scalar,
        aten.remainder.Tensor,
        aten.fmod.Scalar,
        aten.fmod.Tensor,
        aten.floor_divide.default,
        aten.div.Tensor_mode,
        aten.div.Scalar_mode,
    ),
    _NO_SAMPLING: (aten.multinomial.default,),
    _NO_ORDER: (
        aten.cummax.default,
        aten.cummin.default,
        aten.mode.default,
        aten.nanmedian.default,
        aten.nanmedian.dim,
    ),
}


def _leaking(action: str) -> Callable[..., Any]:
    def handler(*args: Any, **kwargs: Any) -> Any:
        refuse_leak(action)

    handler.refuses = True  # type: ignore[attr-defined]
    return handler


for _operation, _action in _READS.items():
    implements(_operation)(_leaking(_action))
for _advice, _operations in _WITHOUT_PROTOCOL.items():
    for _operation in _operations:
        implements(_operation)(refusal(_operation, _advice))


@implements(aten._local_scalar_dense.default)
def local_scalar(x: CrypTensor) -> float | int | bool:
    """x.item(): allowed for public values only."""
    if not x.is_public:
        refuse_leak(".item()")
    return public_values(x).item()


@implements(aten._has_same_storage_numel.default)
def has_same_storage_numel(x: Any, other: Any) -> bool:
    """Asked by autograd for gradients of views; the wrappers have no storage."""
    return bool(x.numel() == other.numel())


@implements(aten.is_pinned.default)
def is_pinned(x: Any, device: Any = None) -> bool:
    return False
