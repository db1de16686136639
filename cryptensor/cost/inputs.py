# SPDX-License-Identifier: MIT
"""Which tensors of an example count as secret, and how they become it."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_map

from ..data import cryptensor, share
from ..tensor import CrypTensor


def is_secret(x: Any, integers: bool) -> bool:
    """Floating-point tensors count as secret, integers only where `integers` says so."""
    if not isinstance(x, torch.Tensor) or x.dtype is torch.bool:
        return False
    return x.is_floating_point() or x.is_complex() or integers


def dtype_of(x: torch.Tensor) -> torch.dtype:
    """What the secret of x shows to PyTorch."""
    if not x.is_floating_point():
        return torch.int64
    return x.dtype if x.dtype is torch.float64 else torch.float32


def entered(tree: Any, src: int, integers: bool, shared: bool = False) -> Any:
    """The tensors that count as secret, as secrets of party src, or of no owner where `shared`."""

    def enter(x: Any) -> Any:
        if not is_secret(x, integers):
            return x
        secret: CrypTensor = cryptensor(x, src=src, dtype=dtype_of(x))
        return share(secret) if shared else secret

    return tree_map(enter, tree)
