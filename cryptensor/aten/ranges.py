# SPDX-License-Identifier: MIT
"""Ranges that a program declares for the values it compares, in the thread of a party."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import RangeError


class _Declared(threading.local):
    def __init__(self) -> None:
        self.bounds: list[float] = []


_declared = _Declared()


def push(bound: float) -> None:
    _declared.bounds.append(bound)


def pop() -> None:
    _declared.bounds.pop()


def current() -> float | None:
    """The innermost declared bound, None where nothing is declared."""
    return _declared.bounds[-1] if _declared.bounds else None


@contextmanager
def bounded(bound: float) -> Iterator[None]:
    """Declares |x| < bound for every secret that relu is called on inside.

    relu then compares the significant bits alone, which halves its work for a bound up to
    2^(31 - precision), 32768 by default. The bound is a promise: a value beyond it gives a wrong
    result, not an error. Raises RangeError unless 0 < bound < inf.
    """
    if not (math.isfinite(bound) and bound > 0):
        raise RangeError(f"bound is {bound}; it must be a finite number above 0")
    push(bound)
    try:
        yield
    finally:
        pop()
