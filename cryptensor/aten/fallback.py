# SPDX-License-Identifier: MIT
"""An ATen overload without an entry in the table: derive, decompose, or refuse it by name.

Order: in-place and out= forms of an entry; C++ composites, whose parts come back here one by one;
PyTorch's Python decompositions; C++ kernels made of other operations; UnsupportedOperation.
"""

from __future__ import annotations

import difflib
import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from ..call_site import user_line
from ..errors import UnsupportedOperation
from ..tensor import OPERATIONS
from . import inplace

# Some decompositions call the operation that they decompose.
_MAX_DEPTH = 4


def resolve(operation: Any) -> Callable[..., Any]:
    """The handler for an overload that has no entry; never fails, the handler may refuse."""
    handler = inplace.derived(operation)
    if handler is not None:
        return handler
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    if has_kernel(operation.name(), "CompositeImplicitAutograd"):
        return _within(operation, operation.decompose)
    decomposition = _decompositions().get(operation)
    if decomposition is not None:
        return _within(operation, decomposition)
    if has_kernel(operation.name(), "CompositeExplicitAutograd"):
        key = torch._C.DispatchKey.CompositeExplicitAutograd
        return _within(operation, lambda *args, **kwargs: operation._op_dk(key, *args, **kwargs))
    return refusal(operation)


def refusal(operation: Any, advice: str = "") -> Callable[..., Any]:
    """A handler that raises UnsupportedOperation with the operation's name and the user's line."""

    def handler(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedOperation(
            f"{operation} has no secure implementation (called at {user_line()}). "
            + (advice or _nearest(operation))
        )

    handler.refuses = True  # type: ignore[attr-defined]
    return handler


class _Nesting(threading.local):
    """How deep each operation is inside its own decomposition, per party thread."""

    def __init__(self) -> None:
        self.depth: Counter[Any] = Counter()


_nesting = _Nesting()


def _within(operation: Any, decomposed: Callable[..., Any]) -> Callable[..., Any]:
    refuse = refusal(operation)

    def handler(*args: Any, **kwargs: Any) -> Any:
        depth = _nesting.depth
        if depth[operation] >= _MAX_DEPTH:
            refuse()
        depth[operation] += 1
        try:
            result = decomposed(*args, **kwargs)
        except UnsupportedOperation as error:
            if not getattr(error, "__notes__", None):
                error.add_note(f"while computing {operation}, which PyTorch decomposes")
            raise
        finally:
            depth[operation] -= 1
        return refuse() if result is NotImplemented else result

    handler.decomposes = True  # type: ignore[attr-defined]
    return handler


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    from torch._decomp import core_aten_decompositions, decomposition_table

    return {**decomposition_table, **core_aten_decompositions()}


def _nearest(operation: Any) -> str:
    name = operation._schema.name.partition("::")[2]
    served = {op._schema.name.partition("::")[2] for op in list(OPERATIONS) if _serves(op)}
    found = difflib.get_close_matches(name, sorted(served - {name}), n=1, cutoff=0.0)
    return f"The nearest supported operation is {found[0]}." if found else ""


def _serves(operation: Any) -> bool:
    return not getattr(OPERATIONS[operation], "refuses", False)
