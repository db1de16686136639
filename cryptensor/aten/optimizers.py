# SPDX-License-Identifier: MIT
"""Steps of torch.optim on secret parameters: one batched protocol run for all of a group.

A learning rate, a decay or a momentum is a public number and costs no message; what they multiply
is rounded without a lean once a step. Parameters keep the session's precision, directions four bits
more; |parameter| and |lr * direction| must stay below 2^17 (2^9 at 24 bits).

Rounds: SGD 2, with momentum 2 (3 with dampening or Nesterov); Adam and AdamW 15; RMSprop 14, with
momentum 15; 7 more where eps counts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch

from .. import _C
from ..errors import UnsupportedOperation
from ..tensor import CrypTensor
from .inplace import refuse_plain, write
from .moments import EXTRA_BITS, Squares, moved
from .operands import engine_of, handle
from .rescaling import joined, parts, rounded, scaled
from .table import implements

aten = torch.ops.aten
Tensors = Sequence[Any]


def _keeps_its_range(step: Callable[..., None]) -> Callable[..., None]:
    """A step that a checked session does not check: a check would cut off its fraction bits."""

    @wraps(step)
    def unchecked(params: Tensors, *args: Any, **kwargs: Any) -> None:
        engine = engine_of(*params)
        checked, engine.checked = engine.checked, False
        try:
            step(params, *args, **kwargs)
        finally:
            engine.checked = checked

    return unchecked


class _Batch:
    """The parameters of one step as one row, beside their states."""

    def __init__(self, params: Tensors, name: str) -> None:
        self.engine: _C.Engine = engine_of(*params)
        self.params, self.name = params, name
        self.shapes = [p.shape for p in params]

    def row(self, tensors: Tensors) -> _C.Secret:
        return joined(self.engine, [handle(self.engine, t) for t in tensors])

    def gradient(self, grads: Tensors, maximize: bool, decay: float, row: _C.Secret) -> _C.Secret:
        """The gradient with the decay of the parameters, untruncated."""
        g = self.row(grads)
        if maximize:
            g = self.engine.neg(g)
        return self.engine.add(g, scaled(self.engine, row, decay)) if decay else g

    def store(self, tensors: Tensors, row: _C.Secret) -> None:
        for tensor, part in zip(tensors, parts(row, self.shapes), strict=True):
            write(tensor, part, self.name)

    def move(self, row: _C.Secret, *steps: tuple[float, _C.Secret]) -> None:
        """Parameters less the sum of factor * direction. Cost: one round."""
        for number, direction in steps:
            row = self.engine.sub(row, scaled(self.engine, direction, number))
        self.store(self.params, rounded(self.engine, row, self.engine.precision))


def _number(lr: Any) -> float:
    """A learning rate, which may be a public tensor; SecretLeakError for a secret one."""
    return float(lr.item()) if isinstance(lr, torch.Tensor) else float(lr)


def _refuse_scaler(*values: Any) -> None:
    if any(value is not None for value in values):
        raise UnsupportedOperation(
            "a GradScaler with secret parameters: fixed point needs none, call loss.backward()"
        )


@_keeps_its_range
def sgd_step(
    params: Tensors,
    grads: Tensors,
    buffers: Tensors,
    *,
    weight_decay: float,
    momentum: float,
    lr: Any,
    dampening: float,
    nesterov: bool,
    maximize: bool,
    is_first_step: bool,
) -> None:
    """One step of torch.optim.SGD; |error| of a parameter is 1 unit of the precision a step."""
    batch = _Batch(params, "SGD")
    engine, rate = batch.engine, _number(lr)
    bits = engine.precision + EXTRA_BITS
    row = batch.row(params)
    g = batch.gradient(grads, maximize, weight_decay, row)
    if not momentum:
        batch.move(row, (rate, rounded(engine, g, bits)))
        return
    if is_first_step:
        buffer = g = rounded(engine, g, bits)
    else:
        if nesterov or dampening:
            g = rounded(engine, g, bits)
        fresh = scaled(engine, g, 1 - dampening) if dampening else g
        buffer = scaled(engine, rounded(engine, batch.row(buffers), bits), momentum)
        buffer = rounded(engine, engine.add(buffer, fresh), bits)
    batch.store(buffers, buffer)
    if nesterov:
        batch.move(row, (rate, g), (rate * momentum, buffer))
    else:
        batch.move(row, (rate, buffer))


@_keeps_its_range
def adam_step(
    params: Tensors,
    grads: Tensors,
    means: Tensors,
    squares: Tensors,
    step: float,
    *,
    lr: Any,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
    decoupled: bool,
) -> None:
    """One step of torch.optim.Adam, of AdamW with `decoupled`; see Squares for its limits."""
    batch = _Batch(params, "Adam")
    engine, rate = batch.engine, _number(lr)
    form = Squares.of(engine.precision, 1 - beta2)
    row = batch.row(params)
    g = batch.gradient(grads, maximize, 0.0 if decoupled else weight_decay, row)
    g = rounded(engine, g, form.gradient_bits)
    mean = moved(engine, batch.row(means), g, 1 - beta1)
    square = form.moved(engine, batch.row(squares), g)
    batch.store(means, mean)
    batch.store(squares, square)
    root = math.sqrt(1 - (1 - form.weight) ** step)
    direction = form.step(engine, mean, square, eps * root)
    steps = [(rate * root / (1 - beta1**step), direction)]
    if decoupled and weight_decay:
        steps.append((rate * weight_decay, row))
    batch.move(row, *steps)


@_keeps_its_range
def rmsprop_step(
    params: Tensors,
    grads: Tensors,
    squares: Tensors,
    buffers: Tensors,
    *,
    lr: Any,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    maximize: bool,
) -> None:
    """One step of torch.optim.RMSprop that is not centered; see Squares for its limits."""
    batch = _Batch(params, "RMSprop")
    engine = batch.engine
    form = Squares.of(engine.precision, 1 - alpha)
    row = batch.row(params)
    g = batch.gradient(grads, maximize, weight_decay, row)
    g = rounded(engine, g, form.gradient_bits)
    square = form.moved(engine, batch.row(squares), g)
    batch.store(squares, square)
    direction = form.step(engine, g, square, eps)
    if momentum:
        bits = engine.precision + EXTRA_BITS
        buffer = scaled(engine, rounded(engine, batch.row(buffers), bits), momentum)
        direction = rounded(engine, engine.add(buffer, direction), bits)
        batch.store(buffers, direction)
    batch.move(row, (_number(lr), direction))


def secret_places(params: Tensors, grads: Tensors, name: str) -> list[int]:
    """Which parameters are secret; PublicSinkError for a plain one with a secret gradient."""
    for p, g in zip(params, grads, strict=True):
        if isinstance(g, CrypTensor):
            refuse_plain(p, name)
    return [i for i, p in enumerate(params) if isinstance(p, CrypTensor)]


def chosen(values: Tensors, places: Sequence[int]) -> list[Any]:
    return [values[i] for i in places] if values else []


def _rest(params: Tensors, places: Sequence[int]) -> list[int]:
    return sorted(set(range(len(params))) - set(places))


@implements(aten._fused_sgd_.default, aten._fused_sgd_.tensor_lr)
def fused_sgd(
    params: Tensors,
    grads: Tensors,
    buffers: Tensors,
    *,
    grad_scale: Any = None,
    found_inf: Any = None,
    **options: Any,
) -> None:
    """torch.optim.SGD(fused=True), which the hook of cryptensor.functions sets."""
    _refuse_scaler(grad_scale, found_inf)
    places = secret_places(params, grads, "SGD")
    sgd_step(*(chosen(v, places) for v in (params, grads, buffers)), **options)
    if rest := _rest(params, places):
        torch._fused_sgd_(*(chosen(v, rest) for v in (params, grads, buffers)), **options)


def _fused_adam(decoupled: bool, plain: Any) -> Any:
    def handler(
        params: Tensors,
        grads: Tensors,
        means: Tensors,
        squares: Tensors,
        largest: Tensors,
        steps: Tensors,
        *,
        amsgrad: bool,
        grad_scale: Any = None,
        found_inf: Any = None,
        **options: Any,
    ) -> None:
        _refuse_scaler(grad_scale, found_inf)
        if amsgrad:
            raise UnsupportedOperation(
                "Adam with amsgrad=True on secret parameters: pass amsgrad=False"
            )
        places = secret_places(params, grads, "Adam")
        by_step: dict[float, list[int]] = defaultdict(list)
        for i in places:
            by_step[_number(steps[i])].append(i)
        for step, same in by_step.items():
            values = (chosen(v, same) for v in (params, grads, means, squares))
            adam_step(*values, step, decoupled=decoupled, **options)
        if rest := _rest(params, places):
            values = (chosen(v, rest) for v in (params, grads, means, squares, largest, steps))
            plain(*values, amsgrad=False, **options)

    return handler


implements(aten._fused_adam_.default, aten._fused_adam_.tensor_lr)(
    _fused_adam(False, torch._fused_adam_)
)
implements(aten._fused_adamw_.default, aten._fused_adamw_.tensor_lr)(
    _fused_adam(True, torch._fused_adamw_)
)
