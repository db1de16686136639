# SPDX-License-Identifier: MIT
"""What torch.compile has to leave alone: a protocol is messages, not a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch._C._dynamo.eval_frame import (
    _FrameAction,
    _FrameExecStrategy,
    set_code_exec_strategy,
)

Function = TypeVar("Function", bound=Callable[..., Any])

# Part of what torch.compile(fullgraph=True) raises.
_REASON = (
    "operations on secrets exchange messages and form no graph; compile without fullgraph=True"
)
# Of the function's frame, and of every frame below it.
_UNCOMPILED = _FrameExecStrategy(_FrameAction.SKIP, _FrameAction.SKIP)


def uncompiled(function: Function) -> Function:
    """Marks a plain Python function: torch.compile neither inlines it nor compiles what it calls.

    torch.compiler.disable does the same, with a wrapper around every call and an import of the
    whole compiler.
    """
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    function._torchdynamo_disable_msg = _REASON  # type: ignore[attr-defined]
    set_code_exec_strategy(function.__code__, _UNCOMPILED)
    return function
