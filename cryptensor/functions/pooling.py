# SPDX-License-Identifier: MIT
"""max_pool, whose dispatched form computes the positions of the maxima even if nobody asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..aten import pooling
from ..aten.operands import wants_gradient
from ..tensor import FUNCTIONS, CrypTensor
from .first_order import first_order


class _MaxPool(torch.autograd.Function):
    """Maxima over windows; the stages that found them carry the gradient back."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor, n: int, geometry: tuple[Any, ...]) -> CrypTensor:
        result, ctx.stages = pooling.max_pool(x, *geometry, n, keep=True)
        ctx.n = n
        return result

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:  # type: ignore[override]
        return pooling.max_pool_gradient(grad, ctx.stages, ctx.n), None, None


_WITH_INDICES = {
    1: torch.max_pool1d_with_indices,
    2: torch._C._nn.max_pool2d_with_indices,
    3: torch._C._nn.max_pool3d_with_indices,
}


def _max_pool(n: int) -> Callable[..., Any]:
    def max_pool(
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        geometry = (kernel_size, stride, padding, dilation, ceil_mode)
        if return_indices:
            stride = stride or kernel_size
            return _WITH_INDICES[n](input, kernel_size, stride, padding, dilation, ceil_mode)
        if wants_gradient(input):
            return _MaxPool.apply(input, n, geometry)
        return pooling.max_pool(input, *geometry, n)[0]

    return max_pool


for _function, _n in (
    (torch.max_pool1d, 1),
    (torch.max_pool2d, 2),
    (torch.max_pool3d, 3),
    (torch.nn.functional.max_pool1d, 1),
    (torch.nn.functional.max_pool2d, 2),
    (torch.nn.functional.max_pool3d, 3),
):
    FUNCTIONS[_function] = _max_pool(_n)
