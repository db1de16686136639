# SPDX-License-Identifier: MIT
"""Losses whose PyTorch decomposition would compute more than needed.

Class targets may be public (a local look-up) or secret integers (one-hot rows); what else torch
offers reaches the table as sums, products and logarithms.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import _C
from ..errors import ShapeError, UnsupportedOperation
from ..tensor import CrypTensor, public_values
from .arithmetic import divided, mul, reduced, sub
from .operands import (
    encode,
    encode_integers,
    engine_of,
    factor,
    handle,
    lifted,
    result_dtype,
    settled,
    wrap,
)
from .selection import is_secret, one_hot_rows
from .smooth import keep_sigmoid, softplus
from .table import implements

aten = torch.ops.aten

_MEAN, _SUM = 1, 2


def _reduce(loss: CrypTensor, reduction: int, count: float | None = None) -> CrypTensor:
    if reduction not in (_MEAN, _SUM):
        return loss
    engine, total = loss._engine, reduced(loss, None, False)
    if reduction == _MEAN:
        total = divided(engine, total, count or max(loss.numel(), 1))
    return wrap(total, engine, loss.dtype)


def _shared_out(grad: Any, reduction: int, count: float, engine: _C.Engine) -> CrypTensor:
    """The gradient of every element's loss, as a CrypTensor that broadcasts."""
    secret: CrypTensor = lifted(engine, grad)
    if reduction != _MEAN or not count:
        return secret
    return wrap(divided(engine, secret._secret, count), engine, secret.dtype)


@implements(aten.mse_loss.default)
def mse_loss(x: Any, target: Any, reduction: int = _MEAN) -> CrypTensor:
    difference = sub(x, target)
    return _reduce(mul(difference, difference), reduction)


@implements(aten.mse_loss_backward.default)
def mse_loss_backward(grad: Any, x: Any, target: Any, reduction: int) -> CrypTensor:
    difference = mul(sub(x, target), 2.0)
    engine = difference._engine
    part = _shared_out(grad, reduction, difference.numel(), engine)
    return mul(difference, part)


@implements(aten.binary_cross_entropy.default)
def binary_cross_entropy(
    x: Any, target: Any, weight: Any = None, reduction: int = _MEAN
) -> CrypTensor:
    """-(t log(x) + (1 - t) log(1 - x)) for x in [0, 1]; both logarithms in one run.

    log(0) is that of the smallest number, about -11 for 16 bits, where PyTorch cuts at -100.
    """
    engine = engine_of(x, target, weight)
    value = settled(engine, x)
    both = engine.combine([value, engine.sub(encode(engine, 1.0), value)], torch.stack)
    parts = engine.log(both).rearrange_many(lambda s: s.unbind(0))
    log_x, log_rest = (wrap(part, engine, x.dtype) for part in parts)
    # t log(x) + (1 - t) log(1 - x) = log(1 - x) + t (log(x) - log(1 - x))
    likelihood = wrap(
        engine.add(log_rest._secret, mul(target, sub(log_x, log_rest))._secret), engine, x.dtype
    )
    loss = mul(likelihood, -1.0)
    return _reduce(loss if weight is None else mul(loss, weight), reduction)


@implements(aten.binary_cross_entropy_backward.default)
def binary_cross_entropy_backward(
    grad: Any, x: Any, target: Any, weight: Any = None, reduction: int = _MEAN
) -> CrypTensor:
    """grad * (x - t) / (x (1 - x))."""
    engine = engine_of(grad, x, target, weight)
    value = factor(engine, x)
    variance = engine.sub(value, engine.square(value))
    inverse = wrap(engine.power(variance, -1.0), engine, x.dtype)
    slope = mul(sub(x, target), inverse)
    part = _shared_out(grad, reduction, slope.numel(), engine)
    slope = mul(slope, part)
    return slope if weight is None else mul(slope, weight)


@implements(aten.binary_cross_entropy_with_logits.default)
def bce_with_logits(
    x: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = _MEAN
) -> CrypTensor:
    """softplus(x) - x t, or (1 - t) x + (1 + (w - 1) t) softplus(-x) with pos_weight w.

    Where a gradient is wanted, sigmoid(x) is computed here and found again by its formula.
    """
    engine = engine_of(x, target, weight, pos_weight)
    x = lifted(engine, x)
    keep_sigmoid(x)
    curved = softplus(x)
    if pos_weight is None:
        loss = sub(curved, mul(x, target))
    else:
        factors = mul(sub(lifted(engine, pos_weight), 1.0), target)
        factors = wrap(engine.add(factors._secret, encode(engine, 1.0)), engine, x.dtype)
        rest = sub(x, mul(x, target))
        weighted = mul(factors, sub(curved, x))
        loss = wrap(engine.add(rest._secret, weighted._secret), engine, x.dtype)
    return _reduce(loss if weight is None else mul(loss, weight), reduction)


class _Targets:
    """Class targets of scores (C,) or (N, C, ...), with the public weight of each element."""

    def __init__(self, x: Any, target: Any, weight: Any, ignored: int) -> None:
        if isinstance(weight, CrypTensor):
            raise UnsupportedOperation("nll_loss with secret class weights: they must be public")
        self.dim = 0 if x.dim() == 1 else 1
        self.classes = x.shape[self.dim]
        self.shape = [n for d, n in enumerate(x.shape) if d != self.dim]
        if list(target.shape) != self.shape:
            raise ShapeError(
                f"nll_loss: the targets have shape {list(target.shape)}; it must be {self.shape}"
            )
        self.secret = is_secret(target)
        if self.secret:
            self._read_secret(target, weight)
        else:
            self._read_public(target, weight, ignored)

    def _read_secret(self, target: CrypTensor, weight: Any) -> None:
        if weight is not None:
            raise UnsupportedOperation("nll_loss with class weights and secret targets")
        bits = one_hot_rows(target, self.classes)
        self.mask = bits.rearrange(lambda s: s.movedim(-1, self.dim))
        self.total = float(target.numel())
        self.weights = None

    def _read_public(self, target: Any, weight: Any, ignored: int) -> None:
        target = public_values(target) if isinstance(target, CrypTensor) else target
        kept = target != ignored
        self.places = target.masked_fill(~kept, 0).long()
        if bool(((self.places < 0) | (self.places >= self.classes)).any()):
            raise IndexError(f"nll_loss: targets must be classes from 0 to {self.classes - 1}")
        weights = kept.double()
        if weight is not None:
            weights = weights * weight.detach().double()[self.places]
        self.weights = None if bool((weights == 1).all()) else weights
        self.total = float(weights.sum())

    def pick(self, engine: _C.Engine, x: Any) -> _C.Secret:
        """The weighted score of each element's class."""
        if self.secret:
            return engine.sum(engine.mul(self.mask, factor(engine, x)), [self.dim], False)
        places = self.places.unsqueeze(self.dim)
        picked = handle(engine, x).rearrange(lambda s: s.gather(self.dim, places).squeeze(self.dim))
        if self.weights is None:
            return picked
        picked = factor(engine, wrap(picked, engine, torch.float32))
        return engine.mul(picked, self._weights(engine))

    def spread(self, engine: _C.Engine, grad: _C.Secret) -> _C.Secret:
        """The gradient of each element at its class, zeros elsewhere."""
        if len(grad.shape) == len(self.shape) and self.shape:
            grad = grad.rearrange(lambda s: s.unsqueeze(self.dim))
        if self.secret:
            return engine.mul(self.mask, grad)
        if self.weights is not None:
            weights = self._weights(engine).rearrange(lambda s: s.unsqueeze(self.dim))
            grad = engine.settle(engine.mul(grad, weights))
        shape = [*self.shape[: self.dim], self.classes, *self.shape[self.dim :]]
        places = self.places.unsqueeze(self.dim)

        def place(share: torch.Tensor) -> torch.Tensor:
            return share.new_zeros(shape).scatter(self.dim, places, share.expand(places.shape))

        return grad.rearrange(place)

    def _weights(self, engine: _C.Engine) -> _C.Secret:
        assert self.weights is not None
        if bool((self.weights == self.weights.round()).all()):
            return encode_integers(engine, self.weights)
        return encode(engine, self.weights)


@implements(aten.nll_loss_forward.default, aten.nll_loss2d_forward.default)
def nll_loss(
    x: Any, target: Any, weight: Any, reduction: int, ignored: int
) -> tuple[CrypTensor, torch.Tensor]:
    """Minus the score of each target's class. Cost: nothing for public targets.

    Secret targets cannot be ignored: an ignore_index among them counts as another class.
    """
    engine = engine_of(x, target)
    targets = _Targets(x, target, weight, ignored)
    loss = wrap(engine.neg(targets.pick(engine, x)), engine, x.dtype)
    return _reduce(loss, reduction, targets.total), torch.tensor(targets.total, dtype=x.dtype)


@implements(aten.nll_loss_backward.default, aten.nll_loss2d_backward.default)
def nll_loss_backward(
    grad: Any, x: Any, target: Any, weight: Any, reduction: int, ignored: int, total: Any
) -> CrypTensor:
    engine = engine_of(grad, x, target)
    targets = _Targets(x, target, weight, ignored)
    dtype = result_dtype(x, 1.0)
    part = _shared_out(grad, reduction, targets.total, engine)
    moved = targets.spread(engine, engine.neg(factor(engine, part)))
    return wrap(moved, engine, dtype)
