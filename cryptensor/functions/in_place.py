# SPDX-License-Identifier: MIT
"""Activations with inplace=True and their x.op_() forms, where a gradient is wanted.

Autograd would keep a copy of the input from before, which knows nothing of the bits that the
forward pass finds, and compare again. So the function is applied to a copy and written back.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from ..aten.operands import wants_gradient
from ..tensor import FUNCTIONS


def _with_flag(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch.nn.functional with a parameter `inplace`."""
    signature = inspect.signature(function)

    def caught(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        x = next(iter(bound.arguments.values()))
        if not bound.arguments.get("inplace") or not wants_gradient(x):
            return function(*args, **kwargs)
        bound.arguments["inplace"] = False
        bound.arguments[next(iter(bound.arguments))] = x.clone()
        return x.copy_(function(*bound.args, **bound.kwargs))

    return caught


def _method(function: Callable[..., Any], in_place: Callable[..., Any]) -> Callable[..., Any]:
    def caught(x: Any, *args: Any, **kwargs: Any) -> Any:
        if not wants_gradient(x):
            return in_place(x, *args, **kwargs)
        return x.copy_(function(x.clone(), *args, **kwargs))

    return caught


for _name in (
    "relu relu6 hardtanh leaky_relu elu celu selu silu mish hardswish hardsigmoid threshold".split()
):
    FUNCTIONS[getattr(F, _name)] = _with_flag(getattr(F, _name))
for _name in "abs clamp clamp_min clamp_max relu".split():
    _in_place = getattr(torch.Tensor, _name + "_")
    FUNCTIONS[_in_place] = _method(getattr(torch.Tensor, _name), _in_place)
FUNCTIONS[torch.relu_] = _method(torch.relu, torch.relu_)
