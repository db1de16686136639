# SPDX-License-Identifier: MIT
"""Gradients of padding by copies: what was copied is added up. Local, exact."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ..tensor import CrypTensor
from .operands import wrap
from .table import implements

aten = torch.ops.aten


def _backward(mode: str, n: int) -> Any:
    def handler(grad: CrypTensor, x: Any, pad: list[int]) -> CrypTensor:
        """pad: before and behind of the last dimension, then of the one before it, ..."""

        def gather(share: torch.Tensor) -> torch.Tensor:
            for back in range(n):
                dim = share.dim() - 1 - back
                size = x.shape[dim]
                ends = (pad[2 * back], pad[2 * back + 1])
                numbers = torch.arange(size, dtype=torch.float64)[None]
                origin = F.pad(numbers, ends, mode)[0].long()
                shape = [*share.shape[:dim], size, *share.shape[dim + 1 :]]
                share = share.new_zeros(shape).index_add_(dim, origin, share)
            return share

        return wrap(grad._secret.rearrange(gather), grad._engine, grad.dtype)

    return handler


for _n, _operation in enumerate(
    (
        aten.replication_pad1d_backward.default,
        aten.replication_pad2d_backward.default,
        aten.replication_pad3d_backward.default,
    ),
    1,
):
    implements(_operation)(_backward("replicate", _n))
