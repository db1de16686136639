# SPDX-License-Identifier: MIT
"""Losses that PyTorch computes whole, by reading the values or without a gradient for others."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from ..aten.indexing import public_index
from ..aten.operands import unit
from ..aten.selection import is_secret, one_hot
from ..errors import ConfigError, ShapeError
from ..tensor import FUNCTIONS, CrypTensor
from .composed import reduced_loss


def _reduction(size_average: Any, reduce: Any, reduction: str) -> str:
    if size_average is None and reduce is None:
        return reduction
    return torch.nn._reduction.legacy_get_string(size_average, reduce)


def _multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """sum of max(0, margin - x[y] + x[i])^p over i != y, / C. The classes may be secret."""
    if p not in (1, 2):
        raise ConfigError(f"multi_margin_loss: p is {p}; it must be 1 or 2")
    scores = input.unsqueeze(0) if input.dim() == 1 else input
    wanted = target.reshape(-1)
    if scores.dim() != 2 or wanted.shape != scores.shape[:1]:
        raise ShapeError(
            f"multi_margin_loss: scores {list(input.shape)} with classes {list(target.shape)}; "
            "they must be (N, C) with (N), or (C) with one class"
        )
    classes = scores.shape[1]
    hot = one_hot(wanted, classes) if is_secret(wanted) else F.one_hot(wanted, classes)
    exceeding = (margin - scores.gather(1, wanted.unsqueeze(1)) + scores).relu()
    loss = ((exceeding if p == 1 else exceeding.square()) * (1 - hot)).sum(1) / classes
    if weight is not None:
        loss = loss * weight[wanted]
    loss = loss.reshape(target.shape)
    return reduced_loss(loss, _reduction(size_average, reduce, reduction))


def _multilabel_margin_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """sum of max(0, 1 - x[y] + x[i]) over the classes y and the others i, / C. Public classes.

    PyTorch's decomposition counts the entries behind the -1 that ends a row.
    """
    if input.shape != target.shape or not 1 <= input.dim() <= 2:
        raise ShapeError(
            f"multilabel_margin_loss: scores {list(input.shape)} with classes "
            f"{list(target.shape)}; both must be (N, C), or (C)"
        )
    listed = torch.atleast_2d(public_index("multilabel_margin_loss by its classes", target))
    scores = input.reshape(listed.shape)
    valid = (listed >= 0).cumprod(1).bool()
    most = int(valid.sum(1).max()) if valid.numel() else 0
    valid, places = valid[:, :most], listed[:, :most].clamp(min=0)
    is_class = torch.zeros(listed.shape).scatter_add(1, places, valid.float()) > 0
    compared = valid.unsqueeze(2) & ~is_class.unsqueeze(1)
    exceeding = (1 - scores.gather(1, places).unsqueeze(2) + scores.unsqueeze(1)).relu()
    loss = (exceeding * compared).sum((1, 2)) / max(listed.shape[1], 1)
    loss = loss.reshape(input.shape[:-1])
    return reduced_loss(loss, _reduction(size_average, reduce, reduction))


def _gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """(log v + (x - t)^2 / v) / 2 with v at least eps; that v >= 0 is not checked where secret.

    An eps below the precision needs no comparison: logarithm and quotient end there anyway.
    """
    if not isinstance(var, torch.Tensor):
        var = torch.full_like(input, var)
    if list(var.shape) == list(input.shape[:-1]):
        var = var.unsqueeze(-1)
    if not isinstance(var, CrypTensor) and bool((var < 0).any()):
        raise ConfigError("gaussian_nll_loss: var has negative entries; they must be at least 0")
    if not isinstance(var, CrypTensor) or eps > unit(var):
        # The gradient passes the bound, as PyTorch's does.
        var = var + (var.detach().clamp(min=eps) - var.detach())
    loss = (torch.log(var) + (input - target).square() / var) / 2
    if full:
        loss = loss + math.log(2 * math.pi) / 2
    return reduced_loss(loss, reduction)


FUNCTIONS[F.multi_margin_loss] = _multi_margin_loss
FUNCTIONS[F.multilabel_margin_loss] = _multilabel_margin_loss
FUNCTIONS[F.gaussian_nll_loss] = _gaussian_nll_loss
