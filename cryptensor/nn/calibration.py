# SPDX-License-Identifier: MIT
"""Ranges of activations, measured on public samples before a model is encrypted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..aten import ranges
from ..errors import ConfigError

# Activations that compare their input with 0 and gain from a known range.
_BOUNDED = (nn.ReLU,)


class _Declare:
    """A forward hook that declares the range of the module's input while the module runs."""

    def __init__(self, bound: float) -> None:
        self.bound = bound

    def __call__(self, module: nn.Module, args: Any) -> None:
        ranges.push(self.bound)


def _withdraw(module: nn.Module, args: Any, output: Any) -> None:
    ranges.pop()


def calibrate(model: nn.Module, *samples: torch.Tensor, margin: float = 4.0) -> dict[str, float]:
    """Runs the plain model on public samples and declares the ranges that its nn.ReLUs saw.

    samples: inputs of the model, each as it would be passed to it. margin: by how much a secret
    input may exceed the largest value of the samples; at least 1. Returns the bound of each ReLU by
    its name, a power of two. From then on, encrypted or not, these modules compare the significant
    bits alone (see `bounded`): a value beyond its bound gives a wrong result, so samples must be
    like the inputs to come. Calibrating again replaces the bounds. Raises ConfigError without
    samples, for a margin below 1, and for a model without nn.ReLU.
    """
    if not samples:
        raise ConfigError("calibrate() needs at least one sample")
    if not (math.isfinite(margin) and margin >= 1):
        raise ConfigError(f"margin is {margin}; it must be a finite number from 1")
    modules = {name: m for name, m in model.named_modules() if isinstance(m, _BOUNDED)}
    if not modules:
        raise ConfigError("the model has no nn.ReLU; use cryptensor.bounded() around other code")
    largest = _largest_inputs(model, modules, samples)
    bounds = {}
    for name, module in modules.items():
        bounds[name] = 2.0 ** math.ceil(math.log2(max(margin * largest[name], 2.0**-8)))
        _replace_hooks(module, bounds[name])
    return bounds


def _largest_inputs(
    model: nn.Module, modules: Mapping[str, nn.Module], samples: tuple[torch.Tensor, ...]
) -> dict[str, float]:
    largest = dict.fromkeys(modules, 0.0)

    def record(name: str) -> Any:
        def hook(module: nn.Module, args: Any) -> None:
            if args[0].numel():
                largest[name] = max(largest[name], float(args[0].detach().abs().max()))

        return hook

    handles = [m.register_forward_pre_hook(record(name)) for name, m in modules.items()]
    was_training = model.training
    try:
        model.eval()
        with torch.no_grad():
            for sample in samples:
                model(sample)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return largest


def _replace_hooks(module: nn.Module, bound: float) -> None:
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, _Declare):
            del module._forward_pre_hooks[key]
    for key, hook in list(module._forward_hooks.items()):
        if hook is _withdraw:
            del module._forward_hooks[key]
            module._forward_hooks_always_called.pop(key, None)
    module.register_forward_pre_hook(_Declare(bound))
    module.register_forward_hook(_withdraw, always_call=True)
