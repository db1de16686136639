# SPDX-License-Identifier: MIT
"""A model run on secrets of the plaintext engine that goes on where a real run would stop.

Every operation is asked of the same table as in a session. Beside each secret goes the tensor of
the plain run: its values are what the ranges are measured on, and what an operation that is refused
continues with.
"""

from __future__ import annotations

import linecache
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from ..call_site import user_line
from ..tensor import OPERATIONS, CrypTensor
from .ranges import Ranges
from .report import Place, Unsupported

_REFUSAL = re.compile(r"(?P<name>\S+) has no secure implementation \(called at .*?\)\. ?")


class _Running(threading.local):
    trial: Trial


_running = _Running()


class Probe(CrypTensor):
    """A secret of a trial: what reads it is reported and gets the plain value."""

    _plain: torch.Tensor


def _reporting(name: str) -> Callable[..., Any]:
    def method(self: Probe, *args: Any, **kwargs: Any) -> Any:
        trial = _running.trial
        try:
            return getattr(CrypTensor, name)(self, *args, **kwargs)
        except Exception as error:
            trial.refuse(name, error)
            return getattr(torch.Tensor, name)(trial.plain(self), *args, **kwargs)

    return method


# Messages of Python and PyTorch name the class.
Probe.__name__ = Probe.__qualname__ = "CrypTensor"

# What Python calls on a tensor without PyTorch's knowledge.
for _name in (
    "__array__",
    "__bool__",
    "__complex__",
    "__contains__",
    "__dlpack__",
    "__float__",
    "__index__",
    "__int__",
    "__reduce_ex__",
    "data_ptr",
    "numpy",
    "tolist",
):
    setattr(Probe, _name, _reporting(_name))


class _Functions(TorchFunctionMode):
    """What is caught above dispatch, and raises there."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self._trial = trial

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._trial.function(func, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    def __init__(self, trial: Trial) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._trial = trial

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._trial.dispatch(self, func, args, kwargs or {})


class Trial:
    """One run. `engine` is a plaintext engine; findings are in `unsupported` and `ranges`."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.ranges = Ranges(engine.precision)
        self._found: dict[tuple[str, Place], Unsupported] = {}
        self._path: list[str] = []
        # Plain tensors that depend on a secret, by their storage: written to, or of a kind that no
        # secret can be. Held, so that no other storage gets the same key.
        self._stained: dict[int, torch.Tensor] = {}

    @property
    def unsupported(self) -> tuple[Unsupported, ...]:
        return tuple(self._found.values())

    def run(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        """The forward pass of a model on probes."""
        _running.trial = self
        try:
            with _Dispatch(self), _Functions(self):
                model(*args, **kwargs)
        finally:
            del _running.trial

    def enter(self, path: str, module: nn.Module) -> None:
        self._path.append(path)

    def leave(self, path: str, module: nn.Module) -> None:
        self._path.pop()

    def place(self) -> Place:
        line = user_line()
        file, _, number = line.rpartition(":")
        text = linecache.getline(file, int(number)).strip() if number.isdigit() else ""
        return Place(line, text, self._path[-1] if self._path else "")

    def refuse(self, operation: Any, error: Exception, place: Place | None = None) -> None:
        """Notes that an operation on a secret raised."""
        name, advice = str(operation), str(error)
        named = _REFUSAL.match(advice)
        if named:
            name, advice = named["name"], advice[named.end() :]
        place = place or self.place()
        known = self._found.get((name, place))
        self._found[name, place] = (
            replace(known, times=known.times + 1) if known else Unsupported(name, place, advice)
        )

    def adopt(self, secret: CrypTensor, plain: torch.Tensor | None = None) -> CrypTensor:
        """The same tensor as a probe."""
        if type(secret) is CrypTensor:
            secret.__class__ = Probe
        if plain is not None:
            secret._plain = plain  # type: ignore[attr-defined]
        return secret

    def plain(self, x: Any) -> Any:
        """What stands for x in the plain run."""
        if not isinstance(x, CrypTensor):
            return x
        plain = getattr(x, "_plain", None)
        if plain is None:
            # The result of a function that is computed without PyTorch.
            opened = self.engine.reveal(self.engine.settle(x._secret), None)
            plain = x._plain = opened.to(x.dtype)  # type: ignore[attr-defined]
        return plain

    def function(self, func: Any, args: Any, kwargs: Any) -> Any:
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            if not any(isinstance(x, CrypTensor) for x in tree_leaves((args, kwargs))):
                raise
            with torch.no_grad():
                found = func(*tree_map(self.plain, args), **tree_map(self.plain, kwargs))
            self.refuse(resolve_name(func) or getattr(func, "__name__", func), error)
            return self._continued(found, tree_leaves((args, kwargs)))
        if func is torch.Tensor.data.__set__:  # type: ignore[attr-defined]
            args[0]._plain = self.plain(args[1])
        for x in tree_leaves(result):
            if isinstance(x, CrypTensor):
                self.adopt(x)
        return result

    def dispatch(self, mode: TorchDispatchMode, func: Any, args: Any, kwargs: Any) -> Any:
        if self._stained:
            args, kwargs = tree_map(self._seen, (args, kwargs))
        operands = tree_leaves((args, kwargs))
        secrets = [x for x in operands if isinstance(x, CrypTensor)]
        strange = [x for x in operands if self._is_stained(x)]
        if not secrets and not strange:
            return func(*args, **kwargs)
        handler = OPERATIONS[func]
        if getattr(handler, "decomposes", False) and not strange:
            try:
                with mode:
                    return handler(*args, **kwargs)
            except Exception as error:
                self.refuse(func, error)
                found = func(*tree_map(self.plain, args), **tree_map(self.plain, kwargs))
                return self._continued(found, operands)
        plain_args = tree_map(self.plain, args)
        found = func(*plain_args, **tree_map(self.plain, kwargs))
        try:
            if strange:
                kind = strange[0].dtype if strange[0].dtype.is_complex else strange[0].layout
                raise TypeError(f"there are no secrets of {kind}; stay with dense real numbers")
            result = handler(*args, **kwargs)
        except Exception as error:
            self.refuse(func, error)
            return self._continued(found, operands)
        self._follow(func, plain_args, secrets, result, found)
        return result

    def _follow(self, func: Any, args: Any, secrets: Any, result: Any, found: Any) -> None:
        """Gives the secret results the plain ones and looks at the values."""
        results = []
        for x, plain in zip(tree_leaves(result), tree_leaves(found), strict=True):
            if isinstance(x, CrypTensor) and isinstance(plain, torch.Tensor):
                self.adopt(x, plain)
                results.append((plain, x._secret.fraction_bits))
        self.ranges.operation(func, args, [self.plain(x) for x in secrets], results, self.place)

    def _continued(self, found: Any, operands: list[Any]) -> Any:
        """The plain results of a refused operation as secrets."""
        by_plain = {id(self.plain(x)): x for x in operands if isinstance(x, torch.Tensor)}

        def secret(plain: Any) -> Any:
            if not isinstance(plain, torch.Tensor):
                return plain
            x = by_plain.get(id(plain))
            if isinstance(x, CrypTensor):  # written in place
                self.engine.write(x._secret, self._entered(plain))
                return x
            if x is not None or not _can_be_secret(plain):
                self._stained[_storage(plain)] = plain
                return plain
            return self.adopt(CrypTensor(self._entered(plain), self.engine, plain.dtype), plain)

        return tree_map(secret, found)

    def _entered(self, plain: torch.Tensor) -> Any:
        largest = 2.0 ** (60 - self.engine.precision)
        values = plain.detach().double().nan_to_num(0.0, largest, -largest)
        return self.engine.input(values.clamp(-largest, largest), 0)

    def _is_stained(self, x: Any) -> bool:
        return (
            isinstance(x, torch.Tensor)
            and not isinstance(x, CrypTensor)
            and _storage(x) in self._stained
        )

    def _seen(self, x: Any) -> Any:
        """A plain tensor into which a secret was written counts as one."""
        if self._stained and self._is_stained(x) and _can_be_secret(x):
            return self.adopt(CrypTensor(self._entered(x), self.engine, x.dtype), x)
        return x


def _can_be_secret(x: torch.Tensor) -> bool:
    return x.layout is torch.strided and not x.dtype.is_complex and not x.is_quantized


def _storage(x: torch.Tensor) -> int:
    return x.untyped_storage()._cdata if x.layout is torch.strided else id(x)
