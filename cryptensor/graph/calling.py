# SPDX-License-Identifier: MIT
"""How a captured model is called: which arguments, of which sizes, and what it returns."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ..errors import ConfigError, ShapeError


@dataclass
class Convention:
    """The arguments of the captured call.

    names: of the parameters of forward(), in order. count: how many were given by position;
    keywords: the others. spec: the nesting of the arguments, None where the graph takes each whole.
    result: the nesting of the result, None where the graph returns it so. shapes: of each input of
    the graph the sizes, names for those that are free, or the value of what is no tensor. least:
    lower bounds of free sizes.
    """

    names: list[str]
    count: int
    keywords: list[str]
    spec: pytree.TreeSpec | None = None
    result: pytree.TreeSpec | None = None
    shapes: list[Any] | None = None
    least: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Convention:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(model.forward).parameters.values()
        names = [p.name for p in parameters if p.kind in kinds]
        return cls(names, len(args), list(kwargs))

    def __getstate__(self) -> dict[str, Any]:
        # A nesting travels as an example of it: its own copies warn of their coming end.
        nestings = {
            name: None if spec is None else [pytree.tree_unflatten([0] * spec.num_leaves, spec)]
            for name, spec in (("spec", self.spec), ("result", self.result))
        }
        return {**self.__dict__, **nestings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in ("spec", "result"):
            if state[name] is not None:
                setattr(self, name, pytree.tree_structure(state[name][0]))

    def leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The inputs of the graph. Raises TypeError for other arguments, ShapeError for sizes."""
        arranged: Any = self._arranged(args, kwargs)
        args, kwargs = arranged
        if self.spec is None:
            return [*args, *kwargs.values()]
        leaves, spec = pytree.tree_flatten((tuple(args), kwargs))
        if spec != self.spec:
            raise TypeError(
                f"the arguments are nested as {spec}; the optimized model was captured with "
                f"{self.spec}"
            )
        self._check(leaves)
        return leaves

    def _arranged(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The same arguments as in the captured call: by position or by name as there."""
        captured = [*self.names[: self.count], *self.keywords]
        if len(args) > len(self.names):
            given, positional = dict(kwargs), list(args)
        else:
            given = {**dict(zip(self.names, args, strict=False)), **kwargs}
            if len(given) != len(args) + len(kwargs) or set(given) != set(captured):
                raise TypeError(
                    f"the arguments are {sorted(given)}; an optimized model takes those of its "
                    f"examples, {captured}"
                )
            positional = [given[name] for name in self.names[: self.count]]
        return positional, {name: given[name] for name in self.keywords}

    def _check(self, leaves: list[Any]) -> None:
        free: dict[str, int] = {}
        for number, (leaf, expected) in enumerate(zip(leaves, self.shapes or [], strict=True)):
            if not isinstance(expected, list):
                if not isinstance(leaf, torch.Tensor) and leaf != expected:
                    raise ConfigError(
                        f"input {number} is {leaf!r}; the optimized model was captured with "
                        f"{expected!r} and allows nothing else"
                    )
                continue
            found = list(leaf.shape) if isinstance(leaf, torch.Tensor) else None
            fits = found is not None and len(found) == len(expected)
            for size, allowed in zip(found or [], expected, strict=False) if fits else ():
                if isinstance(allowed, str):
                    least = self.least.get(allowed, 0)
                    fits = fits and size >= least and free.setdefault(allowed, size) == size
                else:
                    fits = fits and size == allowed
            if not fits:
                bounds = ", ".join(f"{name} >= {least}" for name, least in self.least.items())
                raise ShapeError(
                    f"input {number} has the shape {found}; the optimized model was captured for "
                    f"[{', '.join(map(str, expected))}]"
                    + (f" with {bounds}" if bounds else "")
                    + ": equal names are equal sizes"
                )

    def output(self, result: Any) -> Any:
        """What the captured model returns, of the results of the graph."""
        return result if self.result is None else pytree.tree_unflatten(result, self.result)
