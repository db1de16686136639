# SPDX-License-Identifier: MIT
"""Functions written as others, whose gradients need no comparison.

PyTorch's own formulas compare the result with every element (amax, median), or with 0 (norm, std),
and split a gradient among equal elements; here it goes to the first maximum.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from ..aten.operands import wants_gradient, wrap
from ..aten.piecewise import Pieces, evaluated, gradient
from ..aten.reductions import all_dims
from ..errors import ConfigError
from ..tensor import FUNCTIONS, CrypTensor
from .derivatives import maximum, minimum
from .first_order import first_order


def _rows(x: Any, dims: list[int]) -> Any:
    """x with the dimensions joined as the last."""
    kept = [d for d in range(x.dim()) if d not in dims]
    return x.permute(*kept, *dims).flatten(len(kept)) if x.dim() else x.reshape(1)


def _extreme(whole: Any, by_dim: Any, along: Any) -> Any:
    """torch.max / torch.min in all their forms."""

    def extreme(input: Any, *args: Any, **kwargs: Any) -> Any:
        other = args[0] if args else kwargs.get("other")
        if isinstance(other, torch.Tensor):
            return along(input, other)
        if not args and not kwargs and wants_gradient(input):
            return by_dim(input.reshape(-1), 0).values
        return whole(input, *args, **kwargs)

    return extreme


def _along_dims(whole: Any, by_dim: Any) -> Any:
    """torch.amax / torch.amin."""

    def extreme(input: Any, dim: Any = (), keepdim: bool = False, **kwargs: Any) -> Any:
        if kwargs or not wants_gradient(input):
            return whole(input, dim, keepdim, **kwargs)
        dims = all_dims(input, dim)
        values = by_dim(_rows(input, dims), -1).values
        if not keepdim:
            return values
        return values.reshape([1 if d in dims else n for d, n in enumerate(input.shape)])

    return extreme


def _median(input: Any, *args: Any, **kwargs: Any) -> Any:
    if args or kwargs or not wants_gradient(input):
        return torch.median(input, *args, **kwargs)
    return torch.median(input.reshape(-1), 0).values


def _vector_norm(
    x: Any,
    ord: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
    **kwargs: Any,
) -> Any:
    """Norms of order 1, 2, inf and -inf as sums, roots and maxima of secrets."""
    if not wants_gradient(x) or kwargs or ord not in (1, 2, math.inf, -math.inf):
        return torch.linalg.vector_norm(x, ord, dim, keepdim, dtype=dtype, **kwargs)
    x = x if dtype is None else x.to(dtype)
    dims = all_dims(x, dim)
    if ord == 2:
        return x.square().sum(dims, keepdim).sqrt()
    if ord == 1:
        return x.abs().sum(dims, keepdim)
    return (_amax if ord > 0 else _amin)(x.abs(), dims, keepdim)


def _norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Any:
    if p == "fro" or p is None:
        p = 2
    if isinstance(p, str) or not wants_gradient(input):
        return torch.functional.norm(input, p, dim, keepdim, dtype=dtype)
    return _vector_norm(input, p, dim, keepdim, dtype=dtype)


def _linalg_norm(
    A: Any,  # noqa: N803  torch's name
    ord: Any = None,
    dim: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """The norm of vectors; one of matrices is left to PyTorch."""
    one = A.dim() == 1 or isinstance(dim, int) or (isinstance(dim, (list, tuple)) and len(dim) == 1)
    if wants_gradient(A) and (one or (ord is None and dim is None)):
        return _vector_norm(A, 2 if ord is None else ord, dim, *args, **kwargs)
    return torch.linalg.norm(A, ord, dim, *args, **kwargs)


def _normalize(
    input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None
) -> Any:
    """x / norm(x), for p = 2 by 1 / sqrt(sum(x^2)); a zero vector stays zero without eps."""
    if p != 2 or out is not None or not isinstance(input, CrypTensor):
        return F.normalize(input, p, dim, eps, out)
    return _unit_vectors(input, dim)


def _unit_vectors(x: Any, dim: Any) -> Any:
    if not isinstance(x, CrypTensor):
        return F.normalize(x, 2, dim)
    return x * x.square().sum(dim, keepdim=True).rsqrt()


def _cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    return (_unit_vectors(x1, dim) * _unit_vectors(x2, dim)).sum(dim)


def _pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    return _vector_norm(x1 - x2 + eps, p, -1, keepdim)


def _std(input: Any, *args: Any, **kwargs: Any) -> Any:
    if not wants_gradient(input) or "out" in kwargs:
        return torch.std(input, *args, **kwargs)
    return torch.var(input, *args, **kwargs).sqrt()


def _std_mean(input: Any, *args: Any, **kwargs: Any) -> Any:
    variance, mean = torch.var_mean(input, *args, **kwargs)
    return variance.sqrt(), mean


def _power(input: Any, exponent: Any, **kwargs: Any) -> Any:
    """base ** exponent; of two tensors as exp(exponent * log(base)), for base > 0."""
    if isinstance(exponent, CrypTensor) and not isinstance(input, torch.Tensor):
        return torch.pow(input, exponent, **kwargs)
    if kwargs or not isinstance(exponent, torch.Tensor):
        return torch.pow(input, exponent, **kwargs)
    if not isinstance(exponent, CrypTensor) and exponent.numel() == 1 and exponent.dim() == 0:
        return torch.pow(input, exponent.item())
    return torch.exp(exponent * torch.log(input))


def reduced_loss(loss: Any, reduction: str) -> Any:
    if reduction not in ("none", "mean", "sum"):
        raise ConfigError(f"reduction is {reduction!r}; it must be none, mean or sum")
    return loss if reduction == "none" else getattr(loss, reduction)()


class _Piecewise(torch.autograd.Function):
    """A function of pieces, which is no operation of ATen's."""

    @staticmethod
    def forward(ctx: Any, x: CrypTensor, pieces: Pieces) -> CrypTensor:
        ctx.x, ctx.pieces = x.detach(), pieces
        return wrap(evaluated(x, x._secret, pieces, keep=True), x._engine, x.dtype)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Any) -> Any:
        return gradient(grad, ctx.x, ctx.pieces), None


def _round_corner(reach: float, curve: float) -> Pieces:
    """curve / 2 * d^2 within |d| < reach, straight lines of the slope reach * curve beyond."""
    slope, offset = reach * curve, -reach * reach * curve / 2
    values = ((offset, -slope), (0.0, 0.0, curve / 2), (offset, slope))
    return Pieces((-reach, reach), values, ((-slope,), (0.0, curve), (slope,)))


def _smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    if beta < 0:
        raise ConfigError(f"smooth_l1_loss: beta is {beta}; it must be at least 0")
    if size_average is not None or reduce is not None:
        reduction = torch.nn._reduction.legacy_get_string(size_average, reduce)
    difference = input - target
    if beta == 0:
        return reduced_loss(difference.abs(), reduction)
    return reduced_loss(_Piecewise.apply(difference, _round_corner(beta, 1.0 / beta)), reduction)


def _huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    if delta <= 0:
        raise ConfigError(f"huber_loss: delta is {delta}; it must be positive")
    loss = _Piecewise.apply(input - target, _round_corner(delta, 1.0))
    return reduced_loss(loss if weight is None else loss * weight, reduction)


def _glu(input: Any, dim: int = -1) -> Any:
    half, gate = input.chunk(2, dim)
    return half * torch.sigmoid(gate)


_amax, _amin = _along_dims(torch.amax, torch.max), _along_dims(torch.amin, torch.min)
_max, _min = _extreme(torch.max, torch.max, maximum), _extreme(torch.min, torch.min, minimum)

for _functions, _caught in (
    ((torch.max, torch.Tensor.max), _max),
    ((torch.min, torch.Tensor.min), _min),
    ((torch.amax, torch.Tensor.amax), _amax),
    ((torch.amin, torch.Tensor.amin), _amin),
    ((torch.median, torch.Tensor.median), _median),
    ((torch.linalg.vector_norm,), _vector_norm),
    ((torch.norm, torch.functional.norm, torch.Tensor.norm), _norm),
    ((torch.linalg.norm,), _linalg_norm),
    ((F.normalize,), _normalize),
    ((F.cosine_similarity, torch.cosine_similarity), _cosine_similarity),
    ((F.pairwise_distance, torch.pairwise_distance), _pairwise_distance),
    ((torch.std, torch.Tensor.std), _std),
    ((torch.std_mean,), _std_mean),
    ((torch.pow, torch.Tensor.pow, torch.Tensor.__pow__), _power),
    ((F.smooth_l1_loss,), _smooth_l1_loss),
    ((F.huber_loss,), _huber_loss),
    ((F.glu,), _glu),
):
    for _function in _functions:
        FUNCTIONS[_function] = _caught
