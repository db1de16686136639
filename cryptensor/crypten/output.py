# SPDX-License-Identifier: MIT
"""print() and log() at some of the parties."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable
from typing import Any

from . import communicator


def print(*args: Any, in_order: bool = False, dst: Any = 0, **kwargs: Any) -> None:
    """The built-in print at the ranks dst, or with in_order at all parties, one after the other."""
    _at_parties(builtins.print, args, in_order, dst, kwargs)


def log(*args: Any, in_order: bool = False, dst: Any = 0, **kwargs: Any) -> None:
    """logging.info at the ranks dst, or with in_order at all parties, one after the other."""
    _at_parties(logging.info, args, in_order, dst, kwargs)


def _at_parties(
    write: Callable[..., Any], args: Any, in_order: bool, dst: Any, kwargs: Any
) -> None:
    comm = communicator.get()
    for rank in range(comm.get_world_size()) if in_order else ():
        if comm.get_rank() == rank:
            write(*args, **kwargs)
        comm.barrier()
    if not in_order and comm.get_rank() in ([dst] if isinstance(dst, int) else dst):
        write(*args, **kwargs)
