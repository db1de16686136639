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


def _times_all(grad: Any, result: CrypTensor, count: int) -> Any:
    """grad * result^count, a factor at a time."""
    for _ in range(count):
        grad = times(engine_of(grad, result), grad, result._secret, grad.dtype)
    return grad


class _InverseRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: CrypTensor) -> CrypTensor:
        ctx.result = torch.ops.aten.rsqrt.default(x)
        return ctx.result.detach()

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:  # type: ignore[override]
        return _times_all(grad * -0.5, ctx.result, 3)


class _Reciprocal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: CrypTensor) -> CrypTensor:
        ctx.result = torch.ops.aten.reciprocal.default(x)
        return ctx.result.detach()

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:  # type: ignore[override]
        return _times_all(-grad, ctx.result, 2)


def _rsqrt(input: Any, **kwargs: Any) -> Any:
    if kwargs or not wants_gradient(input):
        return torch.rsqrt(input, **kwargs)
    return _InverseRoot.apply(input)


def _reciprocal(input: Any, **kwargs: Any) -> Any:
    if kwargs or not wants_gradient(input):
        return torch.reciprocal(input, **kwargs)
    return _Reciprocal.apply(input)


for _functions, _caught in (
    ((torch.rsqrt, torch.Tensor.rsqrt), _rsqrt),
    ((torch.reciprocal, torch.Tensor.reciprocal), _reciprocal),
):
    for _function in _functions:
        FUNCTIONS[_function] = _caught
