# SPDX-License-Identifier: MIT
"""How an ATen overload gets its handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..tensor import OPERATIONS

Handler = TypeVar("Handler", bound=Callable[..., Any])


def implements(*operations: Any) -> Callable[[Handler], Handler]:
    """Enters a function into the table under these overloads, such as aten.add.Tensor."""

    def enter(handler: Handler) -> Handler:
        for operation in operations:
            assert operation not in OPERATIONS, f"{operation} has two handlers"
            OPERATIONS[operation] = handler
        return handler

    return enter
