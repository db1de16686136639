# SPDX-License-Identifier: MIT
"""Gradients of reciprocals and inverse roots, small factors first.

PyTorch's formulas multiply powers of the result before the gradient comes in: 1 / x^1.5 of a small
x leaves the range of products where the gradient itself does not.
"""

from __future__ import annotations

from typing import Any

import torch

from ..aten.operands import engine_of, wants_gradient
from ..aten.piecewise import times
from ..tensor import FUNCTIONS, CrypTensor
from .first_order import first_order


class _Inverse(torch.autograd.Function):
    """A function whose slope is `lead` * result^power."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor, operation: Any, lead: float, power: int) -> CrypTensor:
        ctx.result, ctx.lead, ctx.power = operation(x), lead, power
        result: CrypTensor = ctx.result.detach()
        return result

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:
        grad = grad * ctx.lead
        for _ in range(ctx.power):
            grad = times(engine_of(grad, ctx.result), grad, ctx.result._secret, grad.dtype)
        return grad, None, None, None


def _rsqrt(input: Any, **kwargs: Any) -> Any:
    if kwargs or not wants_gradient(input):
        return torch.rsqrt(input, **kwargs)
    return _Inverse.apply(input, torch.ops.aten.rsqrt.default, -0.5, 3)


def _reciprocal(input: Any, **kwargs: Any) -> Any:
    if kwargs or not wants_gradient(input):
        return torch.reciprocal(input, **kwargs)
    return _Inverse.apply(input, torch.ops.aten.reciprocal.default, -1.0, 2)


for _functions, _caught in (
    ((torch.rsqrt, torch.Tensor.rsqrt), _rsqrt),
    ((torch.reciprocal, torch.Tensor.reciprocal), _reciprocal),
):
    for _function in _functions:
        FUNCTIONS[_function] = _caught
