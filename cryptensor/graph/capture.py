# SPDX-License-Identifier: MIT
"""From a module to a Program: torch.export, which sees through everything, or else torch.fx.

Both patch torch.nn.Module for the whole process while they trace, so one lock serves all threads.
"""

from __future__ import annotations

import copy
import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from ..errors import ConfigError
from .calling import Convention
from .program import Program, aten
from .symbolic import traced

TRACING = threading.RLock()

# Checks that export writes down, of what the captured graph cannot help having; of the sizes,
# Convention takes care.
_CHECKS = (aten._assert_tensor_metadata.default,)


def capture(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    """The forward pass of `model`, whose tensors it shares.

    Raises ConfigError with both tracers' reasons where neither can follow it.
    """
    with TRACING, _quiet():
        try:
            return _exported(model, args, kwargs)
        except Exception as error:
            first = error
        try:
            return traced(model, args, kwargs)
        except Exception as second:
            raise ConfigError(
                "the model cannot be captured, so that it can only run unoptimized. torch.export: "
                f"{_reason(first)}; torch.fx: {_reason(second)}"
            ) from second


@contextmanager
def _quiet() -> Iterator[None]:
    """Without messages of the tracers, and without the fused layers that hide what is in them."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    log = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    disabled, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings(), redirect_stderr(_OtherThreads(sys.stderr)):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = disabled
        torch.backends.mha.set_fastpath_enabled(fast)


class _OtherThreads(io.TextIOBase):
    """Takes what this thread prints and passes on what others do: export prints half a graph."""

    def __init__(self, target: Any) -> None:
        super().__init__()
        self._target, self._thread = target, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread or self._target is None:
            return len(text)
        return int(self._target.write(text))


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text[:200]}"


def _exported(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    reason: Exception | None = None
    for attempt in _attempts(args, kwargs):
        try:
            program = attempt(model)
        except Exception as error:
            reason = reason or error
            continue
        return _of_export(program, model, args, kwargs)
    assert reason is not None
    raise reason


def _attempts(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[Callable[[nn.Module], torch.export.ExportedProgram]]:
    """With a free batch, doubled where it is 1, which export takes for a constant; then fixed."""
    tensors = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    batches = {t.shape[0] for t in tensors if t.dim()}
    examples = [(args, kwargs, True), (args, kwargs, False)]
    if batches == {1}:
        double = pytree.tree_map_only(
            torch.Tensor, lambda t: torch.cat([t, t]) if t.dim() else t, (args, kwargs)
        )
        examples.insert(0, (*double, True))
    for given, named, free in examples:

        def attempt(
            model: nn.Module, given: Any = given, named: Any = named, free: bool = free
        ) -> torch.export.ExportedProgram:
            shapes: Any = torch.export.ShapesCollection()
            for leaf in pytree.tree_leaves((given, named)):
                if isinstance(leaf, torch.Tensor) and leaf.dim():
                    shapes[leaf] = {0: torch.export.Dim.AUTO}
            exported = torch.export.export(
                model, given, named, dynamic_shapes=shapes if free else None
            )
            # An empty table: nothing is taken apart, but what writes in place stops doing so.
            functional: torch.export.ExportedProgram = exported.run_decompositions({})
            return functional

        yield attempt


def _of_export(
    exported: torch.export.ExportedProgram,
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Program:
    unlifted: Any = exported.module()
    convention = Convention.of(model, args, kwargs)
    convention.spec = pytree.tree_structure((args, kwargs))
    convention.result = exported.call_spec.out_spec
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in unlifted.graph.nodes:
        check = node.op == "call_module" or node.target in _CHECKS
        if node.op != "output" and not check:
            copies[node] = graph.node_copy(node, lambda n: copies[n])
            copies[node].meta = copy.copy(node.meta)
    output = unlifted.graph.output_node()
    graph.output(fx.map_arg(output.args[0], lambda n: copies[n]))
    _note_shapes(convention, graph, exported, pytree.tree_leaves((args, kwargs)))
    own = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    tensors = dict(own)
    for node in graph.nodes:
        if node.op == "get_attr" and node.target not in tensors:
            tensors[node.target] = _attribute(unlifted, node.target)
    program = Program(graph, tensors, _persistence(model), {}, convention)
    program.origins = dict(model.named_modules(remove_duplicate=False))
    _settle_views(program)
    _note_layers(program)
    return program


def _note_layers(program: Program) -> None:
    """At each ReLU the name of its layer, which may be one of several calls of it."""
    for node in program.calls(aten.relu.default):
        stack = list((node.meta.get("nn_module_stack") or {"": ("", None)}).values())
        name = stack[-1][0].partition("@")[0]
        if isinstance(program.origins.get(name), nn.ReLU):
            node.meta["layer"] = name


def _note_shapes(
    convention: Convention,
    graph: fx.Graph,
    exported: torch.export.ExportedProgram,
    leaves: list[Any],
) -> None:
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    shapes: list[Any] = []
    symbols: set[str] = set()
    for node, leaf in zip(placeholders, leaves, strict=True):
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor):
            shapes.append([_size(s) for s in value.shape])
            symbols |= {s for s in shapes[-1] if isinstance(s, str)}
        else:
            shapes.append(leaf)
    names = {symbol: f"n{number}" for number, symbol in enumerate(sorted(symbols))}
    convention.shapes = [
        [names.get(size, size) for size in shape] if isinstance(shape, list) else shape
        for shape in shapes
    ]
    convention.least = {
        names[str(symbol)]: int(limits.lower)
        for symbol, limits in exported.range_constraints.items()
        if str(symbol) in names and limits.lower > 0
    }


def _size(size: Any) -> int | str:
    known = size if isinstance(size, int) else size.node.maybe_as_int()
    return str(size) if known is None else known


def _persistence(model: nn.Module) -> dict[str, bool]:
    found = {}
    for prefix, module in model.named_modules(remove_duplicate=False):
        for name, buffer in module._buffers.items():
            if buffer is not None:
                full = f"{prefix}.{name}" if prefix else name
                found[full] = name not in module._non_persistent_buffers_set
    return found


def _attribute(module: nn.Module, name: str) -> torch.Tensor:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    tensor: torch.Tensor = value
    return tensor


def _settle_views(program: Program) -> None:
    """Views stay right whatever layout a pass gives to a tensor; copies of a value are that value.

    The graph writes nowhere, so that a copy without a layout of its own has no purpose.
    """
    for node in program.calls(aten.view.default, aten._unsafe_view.default):
        node.target = aten.reshape.default
    for node in program.calls(aten.clone.default):
        if node.kwargs.get("memory_format") is None:
            node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
            program.graph.erase_node(node)
