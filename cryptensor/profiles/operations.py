# SPDX-License-Identifier: MIT
"""Which operations run on secrets, in which module, and what flows from one to the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from ..tensor import CrypTensor
from .counters import NOTHING, Counters

# Of a graph that a browser can still show; what comes later is left out.
_MOST_NODES = 20_000


@dataclass(frozen=True, slots=True)
class OperationNode:
    """A node of the graph: name is unique, with the module's path before it, "/" between.

    kind: such as "aten::relu", or "Parameter" or "Input". inputs: names of other nodes. owner: of
    the result, -1 for a shared one, -2 for a public one.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    owner: int
    cost: Counters = NOTHING


class OperationRecorder(TorchDispatchMode):
    """Notes every ATen operation with a secret operand or result. `scopes`: modules that run."""

    def __init__(self, engine: Any, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[OperationNode] = []
        self.scopes: list[str] = []
        self._engine = engine
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()  # nodes by the tensor they make
        self._taken: Counter[str] = Counter()
        self._parameters: WeakIdKeyDictionary = WeakIdKeyDictionary()
        for named in (model.named_parameters(), model.named_buffers()):
            for name, tensor in named:
                self._parameters[tensor] = name.replace(".", "/")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        start = Counters.now(self._engine)
        results = func(*args, **(kwargs or {}))
        spent = Counters.now(self._engine).minus(start)
        secrets = [x for x in tree_leaves((args, kwargs)) if isinstance(x, CrypTensor)]
        made = [x for x in tree_leaves(results) if isinstance(x, CrypTensor)]
        if (secrets or made) and len(self.nodes) < _MOST_NODES:
            inputs = tuple(self._source(x) for x in secrets)
            namespace, _, name = func.name().partition("::")
            kind = f"{namespace}::{name.partition('.')[0]}"
            scope = self.scopes[-1].replace(".", "/") if self.scopes else ""
            place = f"{scope}/{name.partition('.')[0]}".lstrip("/")
            node = self._add(place, kind, inputs, made[0] if made else None, spent)
            for tensor in made:
                self._known[tensor] = node
        return results

    def _source(self, x: CrypTensor) -> str:
        if x not in self._known:
            is_parameter = x in self._parameters
            name = self._parameters[x] if is_parameter else "input"
            self._known[x] = self._add(name, "Parameter" if is_parameter else "Input", (), x)
        known: str = self._known[x]
        return known

    def _add(
        self,
        name: str,
        kind: str,
        inputs: tuple[str, ...],
        result: torch.Tensor | None,
        cost: Counters = NOTHING,
    ) -> str:
        self._taken[name] += 1
        if self._taken[name] > 1:
            name = f"{name}_{self._taken[name] - 1}"
        shape = () if result is None else tuple(result.shape)
        owner = result.owner if isinstance(result, CrypTensor) else -2
        self.nodes.append(OperationNode(name, kind, inputs, shape, owner, cost))
        return name
