# SPDX-License-Identifier: MIT
"""CrypTen's names that are refused, each with its reason and what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import UnsupportedOperation

_XOR = (
    "values are shared additively only; comparisons convert to bits and back inside. Combine their "
    "0/1 results instead: a * b is AND, a + b - a * b is OR, a + b - 2 * a * b is XOR, 1 - a is NOT"
)
_DISPATCH = (
    "it is part of CrypTen's own dispatcher; here PyTorch dispatches, and the operations are "
    "listed in cryptensor.tensor.OPERATIONS"
)
_PAIR = (
    "every message is a step of all parties. Use cryptensor(x, src=...) and "
    "get_plain_text(dst=...) for values, broadcast, gather or scatter for public ones"
)
_PICKLE = f"bytes of a peer are never unpickled, and {_PAIR}"
_CPU = "values are on the CPU; leave the call out"

REFUSED: dict[str, str] = {
    "init_thread": "parties in threads are started with cryptensor.simulate(function, ...)",
    "register_cryptensor": "there is one kind of secret tensor; derive from MPCTensor instead",
    "generators": "keys and masks stay in the engine; manual_seed() repeats public random numbers",
    "FUNCTION_OVERRIDES": _DISPATCH,
    "PROTECTED_ATTRIBUTES": _DISPATCH,
    "PYTHON_BUILTIN": _DISPATCH,
    "REQUIRED_FUNCTIONS": _DISPATCH,
    "cuda": _CPU,
    "from_tensorflow": "CrypTen has deprecated it; export the model to ONNX and use from_onnx",
    "Module.from_onnx": "single ONNX nodes are not converted; use crypten.nn.from_onnx(model)",
    "send": _PAIR,
    "recv": _PAIR,
    "isend": _PAIR,
    "irecv": _PAIR,
    "send_obj": _PICKLE,
    "recv_obj": _PICKLE,
    "BinarySharedTensor.share": _XOR,
    "BinarySharedTensor.from_shares": _XOR,
    "BinarySharedTensor.PRZS": _XOR,
    "BinarySharedTensor.rshift": _XOR,
    "BinarySharedTensor.rshift_": _XOR,
    "BinarySharedTensor.bits": _XOR,
}


def refuse(name: str) -> NoReturn:
    """Raises UnsupportedOperation, a NotImplementedError, with the reason."""
    raise UnsupportedOperation(f"crypten's {name} has no equivalent: {REFUSED[name]}")


def refused(name: str) -> Callable[..., Any]:
    """A function in the place of the name; it raises when it is called."""

    def function(*args: Any, **kwargs: Any) -> NoReturn:
        refuse(name)

    function.__doc__ = f"Refused: {REFUSED[name]}."
    return function


class RefusedAttribute:
    """A class attribute that raises when it is read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any) -> NoReturn:
        refuse(self._name)

    def __set__(self, instance: Any, value: Any) -> NoReturn:
        refuse(self._name)


class RefusedMapping:
    """A mapping that raises when it is asked for anything."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, key: Any) -> NoReturn:
        refuse(self._name)
