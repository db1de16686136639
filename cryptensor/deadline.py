# SPDX-License-Identifier: MIT
"""A deadline for a call that has none of its own, or keeps none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """call() in a thread of its own: its result, or what it raised, or TimeoutError.

    A call that is late goes on in the background, and nobody hears of its end: only for what
    releases the interpreter while it waits and changes nothing that is used afterwards.
    """
    ended = threading.Event()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)
        ended.set()

    threading.Thread(target=run, name="deadline", daemon=True).start()
    if not ended.wait(seconds):
        raise TimeoutError
    if errors:
        raise errors[0]
    return results[0]
