# SPDX-License-Identifier: MIT
"""Which module of a model feeds which, by running its forward pass on proxies.

fx.symbolic_trace patches nn.Module for the whole process while it runs; here parties may be threads
that trace and compute at the same time. So a copy of the module tree is traced instead, in which
every layer of torch.nn only records that it was called.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import fx, nn


class _Recorder(fx.proxy.GraphAppendingTracer):
    def create_arg(self, a: Any) -> Any:
        # Tensors of the model are of no interest here.
        return None if isinstance(a, torch.Tensor) else super().create_arg(a)


class _Layer(nn.Module):
    """Stands for a layer of the model, under its name."""

    def __init__(self, name: str, recorder: _Recorder) -> None:
        super().__init__()
        self._name, self._recorder = name, recorder

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._recorder.create_proxy("call_module", self._name, args, kwargs)


def call_graph(model: nn.Module) -> fx.Graph:
    """The calls of layers in the forward pass, a call_module node each.

    Raises whatever a forward pass raises that looks at values or shapes of its input.
    """
    graph = fx.Graph()
    recorder = _Recorder(graph)
    twin = _twin(model, "", recorder, {})
    inputs = [
        fx.Proxy(graph.placeholder(name), recorder)
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    graph.output(recorder.create_arg(twin(*inputs)))
    return graph


def _twin(
    module: nn.Module, name: str, recorder: _Recorder, known: dict[int, nn.Module]
) -> nn.Module:
    """The same tree with its layers replaced; a module that occurs twice has one twin."""
    if id(module) in known:
        return known[id(module)]
    if name and _is_layer(module):
        twin: nn.Module = _Layer(name, recorder)
    else:
        twin = copy.copy(module)
        prefix = f"{name}." if name else ""
        twin.__dict__["_modules"] = {
            key: None if child is None else _twin(child, prefix + key, recorder, known)
            for key, child in module._modules.items()
        }
    known[id(module)] = twin
    return twin


def _is_layer(module: nn.Module) -> bool:
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, containers)
