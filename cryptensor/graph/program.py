# SPDX-License-Identifier: MIT
"""A captured forward pass: a graph of ATen operations, and the tensors that it reads."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from .calling import Convention

aten = torch.ops.aten

# Their results wait for a truncation, which an activation behind them does by the way.
PRODUCTS = {
    aten.linear.default,
    aten.matmul.default,
    aten.bmm.default,
    aten.mm.default,
    aten.addmm.default,
    aten.baddbmm.default,
    *(getattr(aten, f"conv{n}d").default for n in (1, 2, 3)),
    *(getattr(aten, f"conv{n}d").padding for n in (1, 2, 3)),
    aten.conv_transpose1d.default,
    aten.conv_transpose2d.input,
    aten.conv_transpose3d.input,
    aten._native_batch_norm_legit_no_training.default,
}


@dataclass
class Program:
    """What the passes change. A tensor of the model is a get_attr node with its name as target.

    persistent: the names of the model's buffers, True where state_dict() holds them; a name that
      is in neither group of the model is a constant of its code, which stays public.
    modules: layers that are called whole, by name.
    mutates: operations may write into their operands, so that nodes must keep their order.
    """

    graph: fx.Graph
    tensors: dict[str, torch.Tensor]
    persistent: dict[str, bool]
    modules: dict[str, nn.Module]
    convention: Convention
    mutates: bool = False
    origins: dict[str, nn.Module] = field(default_factory=dict)

    def calls(self, *targets: Any) -> list[fx.Node]:
        """The nodes that call one of these functions, in order."""
        return [n for n in self.graph.nodes if n.op == "call_function" and n.target in targets]

    def tensor(self, node: Any) -> torch.Tensor | None:
        """The tensor of the model behind an argument; None for anything else."""
        if isinstance(node, fx.Node) and node.op == "get_attr":
            return self.tensors[str(node.target)]
        return None

    def read_once(self, node: Any) -> bool:
        """Is this a tensor of the model that one operation reads, once, and no tied name shares?"""
        tensor = self.tensor(node)
        if tensor is None:
            return False
        readers = [
            user
            for other in self.graph.nodes
            if other.op == "get_attr" and self.tensors[str(other.target)] is tensor
            for user in other.users
        ]
        called = (self.modules[str(n.target)] for n in self.graph.nodes if n.op == "call_module")
        inside = any(p is tensor for module in called for p in module.parameters())
        return len(readers) == 1 and not inside

    def read(self, name: str) -> fx.Node:
        """A node at the current point of insertion that reads the tensor of that name."""
        return self.graph.create_node("get_attr", name)

    def enter(self, name: str, value: torch.Tensor, like: torch.Tensor) -> str:
        """Adds a parameter with the dtype and requires_grad of `like`; returns its free name."""
        free, number = name, 1
        while free in self.tensors:
            free, number = f"{name}_{number}", number + 1
        self.tensors[free] = nn.Parameter(value.to(like.dtype), like.requires_grad)
        return free

    def sweep(self) -> None:
        """Removes what no result depends on."""
        for node in reversed(list(self.graph.nodes)):
            kept = node.op in ("placeholder", "output") or _writes(node, self.modules)
            if not node.users and not kept:
                self.graph.erase_node(node)


def argument(node: fx.Node, index: int, default: Any = None) -> Any:
    """A positional argument, or its default where the call leaves it out."""
    return node.args[index] if index < len(node.args) else default


def items(node: fx.Node) -> dict[int, list[fx.Node]]:
    """The getitem nodes of an operation with several results, by number; all users must be such."""
    found: dict[int, list[fx.Node]] = {}
    for user in node.users:
        if user.target is operator.getitem and isinstance(user.args[1], int):
            found.setdefault(user.args[1], []).append(user)
    return found


def only_first(node: fx.Node) -> bool:
    """Is the first of several results the only one that is read?"""
    return set(items(node)) == {0} and len(items(node)[0]) == len(node.users)


def sizes(node: Any) -> list[Any] | None:
    """The sizes of a tensor in the captured run, symbols where the batch is free."""
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return list(value.shape) if isinstance(value, torch.Tensor) else None


def count(node: fx.Node) -> int | None:
    """How many elements a tensor had in the captured run."""
    found = sizes(node)
    if found is None:
        return None
    return math.prod(s if isinstance(s, int) else s.node.hint for s in found)


def users_behind_views(node: fx.Node, views: set[Any]) -> Iterator[fx.Node]:
    """The operations that read a value, or a view of it."""
    for user in node.users:
        if user.op == "call_function" and user.target in views:
            yield from users_behind_views(user, views)
        else:
            yield user


def _writes(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return modules[str(node.target)].training
    if node.op == "call_method":
        name = str(node.target)
        return name.endswith("_") and not name.endswith("__")
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.is_mutable
    name = getattr(node.target, "__name__", "")
    in_place = name in ("setitem", "iadd", "isub", "imul", "itruediv") or (
        name.endswith("_") and not name.endswith("__")
    )
    return node.op == "call_function" and (in_place or bool(node.kwargs.get("inplace")))


def writes(program: Program) -> bool:
    """Does an operation of the graph change one of its operands?"""
    return any(_writes(node, {}) for node in program.graph.nodes if node.op != "call_module")
