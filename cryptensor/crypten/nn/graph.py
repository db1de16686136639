# SPDX-License-Identifier: MIT
"""A graph of modules by name."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...errors import ConfigError, ShapeError
from .module import Module


class Graph(Module):
    """Modules whose inputs are named: the graph's own, or outputs of other modules.

    input_names, output_names: a name, or a list of them. modules, graph: modules by name, and the
    names of the inputs of each. A module with several inputs gets them as a list, as the modules
    in `nodes` take them; one with several outputs is added with their names.
    """

    def __init__(
        self, input_names: Any, output_names: Any, modules: Any = None, graph: Any = None
    ) -> None:
        super().__init__()
        self.input_names, self.output_names = _names(input_names), _names(output_names)
        self._graph: dict[str, list[str]] = {}
        self._outputs: dict[str, list[str]] = {}
        for name, module in (modules or {}).items():
            self.add_module(name, module, (graph or {}).get(name))

    def add_module(
        self, name: str, module: nn.Module | None, input_names: Any = None, output_names: Any = None
    ) -> None:
        if name in self._graph:
            raise ConfigError(f"name is {name!r}, which the graph has already")
        self.register_module(name, module)
        if input_names is not None:
            self._graph[name] = _names(input_names)
        self._outputs[name] = [name] if output_names is None else _names(output_names)

    def forward(self, *args: Any) -> Any:
        if len(args) != len(self.input_names):
            raise ShapeError(f"{len(args)} inputs were given; {self.input_names} are needed")
        values = dict(zip(self.input_names, args, strict=True))
        waiting = dict(self._graph)
        while any(name not in values for name in self.output_names):
            ready = next((n for n, needs in waiting.items() if values.keys() >= set(needs)), None)
            if ready is None:
                raise ConfigError(f"the outputs {self.output_names} do not follow from the inputs")
            inputs = [values[name] for name in waiting.pop(ready)]
            result = self.get_submodule(ready)(inputs[0] if len(inputs) == 1 else inputs)
            names = self._outputs[ready]
            results = [result] if len(names) == 1 else result
            values.update(zip(names, results, strict=True))
        found = [values[name] for name in self.output_names]
        return found[0] if len(found) == 1 else tuple(found)


def _names(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
