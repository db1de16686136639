# SPDX-License-Identifier: MIT
"""Functions with a gradient of their own, where PyTorch's formula would repeat secure work."""

from __future__ import annotations

from typing import Any

import torch

from ..aten.operands import engine_of, factor, result_dtype, settled, wants_gradient, wrap
from ..aten.piecewise import times
from ..aten.reductions import product_tree, product_tree_gradient
from ..tensor import FUNCTIONS, CrypTensor
from .first_order import first_order


class _Erf(torch.autograd.Function):
    """PyTorch's formula would compute exp(-x^2) in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor) -> CrypTensor:
        value, ctx.slope = x._engine.activation_with_derivative("erf", x._secret)
        return wrap(value, x._engine, x.dtype)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:
        return times(engine_of(grad), grad, ctx.slope, grad.dtype)


def _erf(input: Any, **kwargs: Any) -> Any:
    return _Erf.apply(input) if wants_gradient(input) and not kwargs else torch.erf(input, **kwargs)


class _LogSumExp(torch.autograd.Function):
    """The gradient is softmax, of which PyTorch would compute exp(x - y) again."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor, dims: list[int], keepdim: bool) -> CrypTensor:
        full = torch.ops.aten.logsumexp.default(x, dims, True)
        ctx.softmax = x._engine.exp(x._engine.sub(x._secret, full._secret))
        ctx.full = list(full.shape)
        reduced: CrypTensor = full if keepdim else full.squeeze(tuple(dims))
        return reduced

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:
        grad = grad.reshape(ctx.full)
        return times(engine_of(grad), grad, ctx.softmax, grad.dtype), None, None


def _logsumexp(input: Any, dim: Any, keepdim: bool = False, **kwargs: Any) -> Any:
    if not wants_gradient(input) or input.dim() == 0 or kwargs:
        return torch.logsumexp(input, dim, keepdim, **kwargs)
    dims = [dim] if isinstance(dim, int) else list(dim)
    return _LogSumExp.apply(input, dims or list(range(input.dim())), keepdim)


class _Maximum(torch.autograd.Function):
    """The larger of two; where they are equal, the gradient goes to the first."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> CrypTensor:
        engine = engine_of(x, y)
        second = settled(engine, y)
        difference = engine.sub(settled(engine, x), second)
        positive, ctx.first = engine.relu_with_sign(difference)
        ctx.shapes = x.shape, y.shape
        return wrap(engine.add(second, positive), engine, result_dtype(x, y))

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:
        for_x = times(engine_of(grad), grad, ctx.first, grad.dtype)
        for_y = grad - for_x
        return for_x.sum_to_size(ctx.shapes[0]), for_y.sum_to_size(ctx.shapes[1])


def maximum(input: Any, other: Any, **kwargs: Any) -> Any:
    """torch.maximum, which compares in the forward pass only."""
    if kwargs or not wants_gradient(input, other):
        return torch.maximum(input, other, **kwargs)
    return _Maximum.apply(input, other)


def minimum(input: Any, other: Any, **kwargs: Any) -> Any:
    if kwargs or not wants_gradient(input, other):
        return torch.minimum(input, other, **kwargs)
    return -_Maximum.apply(-input, -other)


class _Prod(torch.autograd.Function):
    """The product along dimension 0; PyTorch's formula asks which factors are 0."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor) -> CrypTensor:
        product, ctx.levels = product_tree(x._engine, settled(x._engine, x))
        return wrap(product.rearrange(lambda s: s[0]), x._engine, x.dtype)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:
        engine = engine_of(grad)
        row = factor(engine, grad).rearrange(lambda s: s.unsqueeze(0))
        return wrap(product_tree_gradient(engine, row, ctx.levels), engine, grad.dtype)


def _prod(input: Any, dim: int | None = None, keepdim: bool = False, **kwargs: Any) -> Any:
    if not wants_gradient(input) or kwargs or input.numel() == 0 or input.dim() == 0:
        arguments = () if dim is None else (dim, keepdim)
        return torch.prod(input, *arguments, **kwargs)
    if dim is None:
        return _Prod.apply(input.reshape(-1))
    product = _Prod.apply(input.movedim(dim, 0))
    return product.unsqueeze(dim) if keepdim else product


def _cumprod(input: Any, dim: int, **kwargs: Any) -> Any:
    """By doubling, where a gradient is wanted: PyTorch's formula divides by the input."""
    if kwargs or not wants_gradient(input) or input.dim() == 0:
        return torch.cumprod(input, dim, **kwargs)
    products, reach = input.movedim(dim, 0), 1
    while reach < input.shape[dim]:
        products = torch.cat([products[:reach], products[reach:] * products[:-reach]])
        reach *= 2
    return products.movedim(0, dim)


for _functions, _caught in (
    ((torch.erf, torch.Tensor.erf, torch.special.erf), _erf),
    ((torch.logsumexp, torch.Tensor.logsumexp, torch.special.logsumexp), _logsumexp),
    ((torch.maximum, torch.Tensor.maximum), maximum),
    ((torch.minimum, torch.Tensor.minimum), minimum),
    ((torch.prod, torch.Tensor.prod), _prod),
    ((torch.cumprod, torch.Tensor.cumprod), _cumprod),
):
    for _function in _functions:
        FUNCTIONS[_function] = _caught
