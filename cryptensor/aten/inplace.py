# SPDX-License-Identifier: MIT
"""Writing results: every `x.op_()`, `out=` and in-place view, derived from the functional entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._mode_utils import no_dispatch

from .. import _C
from ..errors import PublicSinkError, UnsupportedOperation
from ..tensor import OPERATIONS, CrypTensor
from .operands import handle

aten = torch.ops.aten


def refuse_plain(x: Any, action: str) -> None:
    """Raises PublicSinkError unless x can hold a secret."""
    if not isinstance(x, CrypTensor):
        raise PublicSinkError(
            f"{action} would write a secret into a plain tensor. Make the destination secret "
            "first: x.new_zeros(...) of a secret x, cryptensor(...), or encrypt(module)"
        )


def write(x: Any, value: _C.Secret, action: str) -> CrypTensor:
    """Stores a value into x and all views of its storage; PublicSinkError for a plain x."""
    refuse_plain(x, action)
    into: CrypTensor = x
    into._engine.write(into._secret, value)
    return into


def derived(operation: Any) -> Callable[..., Any] | None:
    """The handler of a mutating overload, None where there is nothing to derive it from."""
    if operation.namespace != "aten":
        return None
    if torch.Tag.inplace_view in operation.tags:
        return _view_in_place(operation)
    written = [a for a in operation._schema.arguments if a.alias_info and a.alias_info.is_write]
    if not written or any(str(a.type) != "Tensor" for a in written):
        return None
    name = operation._schema.name.partition("::")[2]
    overload = operation._overloadname
    if name.endswith("_") and len(written) == 1:
        base = getattr(getattr(aten, name[:-1], None), overload, None)
        return _in_place(base) if base is not None else None
    if overload == "out" or overload.endswith("_out"):
        base = _functional(operation, {a.name for a in written})
        return _into_out(base, [a.name for a in written]) if base is not None else None
    return None


def _functional(operation: Any, outputs: set[str]) -> Any:
    """The overload with the same arguments less the outputs (`.default` may be another one)."""

    def signature(arguments: Any) -> list[tuple[str, str]]:
        return [(a.name, str(a.type)) for a in arguments if a.name not in outputs]

    packet = getattr(aten, operation._schema.name.partition("::")[2])
    wanted = signature(operation._schema.arguments)
    for name in packet.overloads():
        try:
            candidate = getattr(packet, name)
        except RuntimeError:  # an overload of TorchScript only
            continue
        if candidate is not operation and signature(candidate._schema.arguments) == wanted:
            return candidate
    return None


def _in_place(base: Any) -> Callable[..., Any]:
    def handler(x: Any, *args: Any, **kwargs: Any) -> Any:
        refuse_plain(x, f"{base} in place")
        result = OPERATIONS[base](x, *args, **kwargs)
        return write(x, handle(x._engine, result), f"{base} in place")

    return handler


def _into_out(base: Any, names: list[str]) -> Callable[..., Any]:
    def handler(*args: Any, **kwargs: Any) -> Any:
        outputs = [kwargs.pop(name) for name in names]
        for output in outputs:
            refuse_plain(output, f"{base} with out=")
        results = OPERATIONS[base](*args, **kwargs)
        several = isinstance(results, (tuple, list))
        for output, result in zip(outputs, results if several else (results,), strict=True):
            write(output, handle(output._engine, result), f"{base} with out=")
        return tuple(outputs) if several else outputs[0]

    return handler


def _view_in_place(operation: Any) -> Callable[..., Any] | None:
    """t_, squeeze_, unsqueeze_, ...: a new view for the handle and new metadata for the wrapper."""
    name = operation._schema.name.partition("::")[2]
    base = getattr(getattr(aten, name.removesuffix("_"), None), operation._overloadname, None)
    if base is None or base not in OPERATIONS:
        return None

    def handler(x: CrypTensor, *args: Any, **kwargs: Any) -> CrypTensor:
        if not isinstance(x, CrypTensor):
            raise UnsupportedOperation(f"{operation} of a plain tensor by a secret")
        view = x._secret.rearrange(lambda s: base(s, *args, **kwargs))
        with no_dispatch():
            operation(x, *args, **kwargs)
        x._secret = view
        x._memo.clear()
        return x

    return handler
