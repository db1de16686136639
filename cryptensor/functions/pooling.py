# SPDX-License-Identifier: MIT
"""max_pool, whose dispatched form computes the positions of the maxima even if nobody asks.

And max_unpool, which puts values back to positions that are secret.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ..aten import pooling
from ..aten.convolution import spread
from ..aten.operands import wants_gradient
from ..aten.selection import is_secret
from ..errors import UnsupportedOperation
from ..tensor import FUNCTIONS, CrypTensor
from .first_order import first_order


class _MaxPool(torch.autograd.Function):
    """Maxima over windows; the stages that found them carry the gradient back."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor, n: int, geometry: tuple[Any, ...]) -> CrypTensor:
        result, ctx.stages = pooling.max_pool(x, *geometry, n, keep=True)  # type: ignore[call-arg, misc]
        ctx.n = n
        return result

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:
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


def _max_unpool(n: int) -> Callable[..., Any]:
    function = getattr(torch.nn.functional, f"max_unpool{n}d")

    def max_unpool(
        input: Any,
        indices: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Any:
        """Cost with secret positions: a one-hot row of the output's size for each, a product."""
        if not is_secret(indices):
            return function(input, indices, kernel_size, stride, padding, output_size)
        kernel = spread(kernel_size, n)
        step = spread(stride, n) if stride else kernel
        if any(s < k for s, k in zip(step, kernel, strict=True)):
            raise UnsupportedOperation(
                f"max_unpool{n}d at secret positions of overlapping windows: stride is {step}; it "
                f"must be at least {kernel}"
            )
        sizes = torch.nn.functional._unpool_output_size(  # type: ignore[attr-defined]
            input, kernel, step, spread(padding, n), output_size
        )
        flat = input.flatten(-n)
        zeros = input.new_zeros(*flat.shape[:-1], math.prod(sizes))
        return zeros.scatter(-1, indices.flatten(-n), flat).unflatten(-1, sizes)

    return max_unpool


for _n in (1, 2, 3):
    FUNCTIONS[getattr(torch.nn.functional, f"max_unpool{_n}d")] = _max_unpool(_n)
for _function, _n in (
    (torch.max_pool1d, 1),
    (torch.max_pool2d, 2),
    (torch.max_pool3d, 3),
    (torch.nn.functional.max_pool1d, 1),
    (torch.nn.functional.max_pool2d, 2),
    (torch.nn.functional.max_pool3d, 3),
):
    FUNCTIONS[_function] = _max_pool(_n)
