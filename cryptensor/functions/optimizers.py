# SPDX-License-Identifier: MIT
"""torch.optim on secret parameters: what every step of an optimizer does before its first one.

The operation sequence of Adam rounds second moments to 0 and then divides by them; its fused form
arrives as one operation. RMSprop has no fused form and is caught at its functional. Optimizers
whose sequence is unfit in the same way are refused, before they change anything.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.optim import SGD, Adam, Optimizer, RMSprop
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ..aten.optimizers import chosen, rmsprop_step, secret_places
from ..call_site import user_line
from ..errors import UnsupportedOperation
from ..tensor import CrypTensor

_SERVED = (SGD, Adam, RMSprop)
_FUNCTIONAL = sys.modules["torch.optim.rmsprop"]
_plain_rmsprop = _FUNCTIONAL.rmsprop
# Options that would need another step, with what to pass instead.
_REFUSED_OPTIONS = {"amsgrad": False, "centered": False, "differentiable": False}


def _prepare(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Runs before every step of every optimizer; those without a secret are left alone."""
    groups = [g for g in optimizer.param_groups if any(map(_is_secret, g["params"]))]
    if not groups:
        return
    kind = _kind(optimizer)
    if kind is Optimizer:
        return  # the program's own: it is made of operations that keep their promises
    if not issubclass(kind, _SERVED):
        raise UnsupportedOperation(
            f"torch.optim.{kind.__name__} on secret parameters (called at {user_line()}): its "
            "steps are not right in fixed point. Use SGD, Adam, AdamW or RMSprop"
        )
    for group in groups:
        for option, wanted in _REFUSED_OPTIONS.items():
            if group.get(option, wanted) != wanted:
                raise UnsupportedOperation(
                    f"torch.optim.{kind.__name__} with {option}={group[option]} on secret "
                    f"parameters (called at {user_line()}): it must be {wanted}"
                )
        if issubclass(kind, RMSprop):
            continue
        group["fused"], group["foreach"] = True, False
        if issubclass(kind, SGD) and group["momentum"] and not group["dampening"]:
            _complete_buffers(optimizer, group)


def _is_secret(parameter: Any) -> bool:
    return isinstance(parameter, CrypTensor)


def _kind(optimizer: Optimizer) -> type:
    """The class of torch.optim that it is or derives from."""
    return next(c for c in type(optimizer).__mro__ if c.__module__.startswith("torch.optim"))


def _complete_buffers(optimizer: Optimizer, group: dict[str, Any]) -> None:
    """Zeros for a parameter that has its first gradient later than others.

    The fused form knows a first step only for all parameters at once.
    """
    active = [p for p in group["params"] if p.grad is not None]
    missing = [p for p in active if optimizer.state[p].get("momentum_buffer") is None]
    if len(missing) < len(active):
        for p in missing:
            optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)


def _rmsprop(
    params: list[Any],
    grads: list[Any],
    square_avgs: list[Any],
    grad_avgs: list[Any],
    momentum_buffer_list: list[Any],
    state_steps: list[Any],
    **options: Any,
) -> None:
    """torch.optim.rmsprop.rmsprop, with secret parameters in one run."""
    lists = (params, grads, square_avgs, grad_avgs, momentum_buffer_list, state_steps)
    secret = secret_places(params, grads, "RMSprop")
    if not secret:
        _plain_rmsprop(*lists, **options)
        return
    names = ("lr", "alpha", "eps", "weight_decay", "momentum", "maximize")
    rmsprop_step(
        *(chosen(v, secret) for v in (params, grads, square_avgs, momentum_buffer_list)),
        **{name: options[name] for name in names},
    )
    for step in chosen(state_steps, secret):
        step += 1
    if plain := sorted(set(range(len(params))) - set(secret)):
        _plain_rmsprop(*(chosen(v, plain) for v in lists), **options)


_FUNCTIONAL.rmsprop = _rmsprop  # type: ignore[attr-defined]
register_optimizer_step_pre_hook(_prepare)
