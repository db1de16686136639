# SPDX-License-Identifier: MIT
"""torch.fx for models that torch.export refuses, brought to the operations that the passes know."""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from .calling import Convention
from .program import Program, aten, writes

_CONVOLUTIONS = {
    nn.Conv1d: aten.conv1d,
    nn.Conv2d: aten.conv2d,
    nn.Conv3d: aten.conv3d,
}
_TRANSPOSED = {
    nn.ConvTranspose1d: aten.conv_transpose1d.default,
    nn.ConvTranspose2d: aten.conv_transpose2d.input,
    nn.ConvTranspose3d: aten.conv_transpose3d.input,
}
_POOLS = {
    nn.MaxPool1d: aten.max_pool1d.default,
    nn.MaxPool2d: aten.max_pool2d.default,
    nn.MaxPool3d: aten.max_pool3d.default,
}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Of the same parameters as the operation, by position and by name.
_FUNCTIONS = {torch.relu: aten.relu.default, F.linear: aten.linear.default}


def traced(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """The forward pass by torch.fx; raises what its tracer raises."""
    convention = Convention.of(model, args, kwargs)
    given = [*convention.names[: convention.count], *convention.keywords]
    parameters = inspect.signature(model.forward).parameters
    fixed = {
        name: parameters[name].default
        for name in convention.names
        if name not in given and parameters[name].default is not inspect.Parameter.empty
    }
    graph = fx.Tracer().trace(model, concrete_args=fixed)
    _drop_fixed(graph, given)
    program = Program(graph, _tensors(model), {}, {}, convention)
    program.persistent = {
        name: name in model.state_dict() for name, _ in model.named_buffers(remove_duplicate=False)
    }
    program.origins = dict(model.named_modules(remove_duplicate=False))
    for node in list(graph.nodes):
        if node.op == "call_module":
            _lower(program, node)
        elif node.target is F.relu or node.target == "relu":
            if len(node.args) == 1 and not node.kwargs.get("inplace"):
                _replace(program, node, aten.relu.default, (node.args[0],))
        elif node.op == "call_function" and node.target in _FUNCTIONS and not node.kwargs:
            node.target = _FUNCTIONS[node.target]
    program.mutates = writes(program)
    _note_values(program, model, args, kwargs)
    return program


def _drop_fixed(graph: fx.Graph, given: list[str]) -> None:
    """Removes the arguments that were left out, and the checks that they have their defaults."""
    for node in [n for n in graph.nodes if n.op == "placeholder"]:
        if node.target not in given:
            for reader in reversed(_readers(node)):
                graph.erase_node(reader)
            graph.erase_node(node)


def _readers(node: fx.Node) -> list[fx.Node]:
    """The nodes that depend on this one, in an order in which each follows what it reads."""
    return [reader for user in node.users for reader in (user, *_readers(user))]


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }


def _replace(program: Program, node: fx.Node, target: Any, args: tuple[Any, ...]) -> fx.Node:
    with program.graph.inserting_before(node):
        new = program.graph.call_function(target, args)
    new.meta = dict(node.meta)
    node.replace_all_uses_with(new)
    program.graph.erase_node(node)
    return new


def _lower(program: Program, node: fx.Node) -> None:
    """Calls of the layers that passes know become their operation; others stay calls."""
    name = str(node.target)
    layer = program.origins[name]
    lower = _LOWER.get(type(layer))
    hooked = layer._forward_hooks or layer._forward_pre_hooks
    single = len(node.args) == 1 and not node.kwargs
    if lower is None or not single or (hooked and not isinstance(layer, nn.ReLU)):
        program.modules[name] = layer
        return

    def read(field: str) -> fx.Node | None:
        if getattr(layer, field) is None:
            return None
        with program.graph.inserting_before(node):
            return program.read(f"{name}.{field}")

    call = lower(layer, node.args[0], read)
    if call is None:
        program.modules[name] = layer
        return
    new = _replace(program, node, *call)
    new.meta["layer"] = name
    if new.target is aten._native_batch_norm_legit_no_training.default:
        with program.graph.inserting_after(new):
            first = program.graph.call_function(operator.getitem, (new, 0))
        new.replace_all_uses_with(first, delete_user_cb=lambda user: user is not first)


Call = tuple[Any, tuple[Any, ...]]
Read = Callable[[str], fx.Node | None]


def _linear(layer: Any, x: Any, read: Read) -> Call:
    return aten.linear.default, (x, read("weight"), read("bias"))


def _convolution(layer: Any, x: Any, read: Read) -> Call | None:
    if layer.padding_mode != "zeros":
        return None
    family = _CONVOLUTIONS[type(layer)]
    target = family.padding if isinstance(layer.padding, str) else family.default
    geometry = (layer.stride, layer.padding, layer.dilation)
    settings = [list(part) if isinstance(part, tuple) else part for part in geometry]
    return target, (x, read("weight"), read("bias"), *settings, layer.groups)


def _transposed(layer: Any, x: Any, read: Read) -> Call:
    geometry = (layer.stride, layer.padding, layer.output_padding)
    settings = [list(part) for part in geometry]
    tail = (layer.groups, list(layer.dilation))
    return _TRANSPOSED[type(layer)], (x, read("weight"), read("bias"), *settings, *tail)


def _batch_norm(layer: Any, x: Any, read: Read) -> Call | None:
    if layer.training or layer.running_mean is None:
        return None
    tensors = tuple(read(field) for field in ("weight", "bias", "running_mean", "running_var"))
    target = aten._native_batch_norm_legit_no_training.default
    return target, (x, *tensors, layer.momentum or 0.0, layer.eps)


def _relu(layer: Any, x: Any, read: Read) -> Call | None:
    if layer.inplace and len(x.users) > 1:
        return None
    return aten.relu.default, (x,)


def _max_pool(layer: Any, x: Any, read: Read) -> Call | None:
    if layer.return_indices:
        return None
    n = int(type(layer).__name__[-2])
    parts = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    settings = [list(p) if isinstance(p, tuple) else [p] * n for p in parts]
    return _POOLS[type(layer)], (x, *settings, layer.ceil_mode)


_LOWER: dict[type, Callable[[Any, Any, Read], Call | None]] = {
    nn.Linear: _linear,
    nn.ReLU: _relu,
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **dict.fromkeys(_TRANSPOSED, _transposed),
    **dict.fromkeys(_POOLS, _max_pool),
    **dict.fromkeys(_NORMS, _batch_norm),
}


class _Values(fx.Interpreter):
    """Runs the graph once and leaves at each node a value of its shape."""

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        super().__init__(root, graph=graph)

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            n.meta["val"] = torch.empty(value.shape, dtype=value.dtype, device="meta")
        return value


def _note_values(program: Program, model: nn.Module, args: Any, kwargs: Any) -> None:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        leaves = program.convention.leaves(args, kwargs)
        _Values(copy.deepcopy(model), program.graph).run(*leaves)
