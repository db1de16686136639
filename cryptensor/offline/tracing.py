# SPDX-License-Identifier: MIT
"""trace(): runs a program once and notes which correlations it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import _C
from ..config import Settings
from ..errors import ConfigError
from ..launch import in_threads
from ..session import current
from .plan import Plan


class _Steps(threading.local):
    engine: object = None


_steps = _Steps()


@contextmanager
def offline_step() -> Iterator[None]:
    """Around what a program repeats: one inference of a served model.

    With the provider "stored" every step takes what was dealt for one; when those of a lot are
    used up the parties agree on the next one, and the step opens the weights once more. With any
    other provider nothing happens. All parties enter the same steps. A step that an exception ends
    is left out: the next one begins where it would have ended.

    Raises ConfigError inside another step, and StoreError, on every party, when the store is used
    up or the step takes something else than its plan.
    """
    engine = current().engine
    if _steps.engine is engine:
        raise ConfigError("offline_step() is used inside another offline_step()")
    engine.mark_step(True)
    _steps.engine = engine
    try:
        yield
    finally:
        _steps.engine = None
    engine.mark_step(False)


def trace(
    fn: Callable[..., Any],
    *args: Any,
    parties: int = 2,
    precision: int = 16,
    truncation: str = "default",
    checked: bool = False,
    network: str = "lan",
    **kwargs: Any,
) -> Plan:
    """The plan of fn(*args, **kwargs), a program as for launch(): what it takes from a dealer.

    fn runs in threads of this process, as by simulate() and on every party with the same arguments,
    which should be public examples: only kinds and shapes are kept. Without steps the plan is one
    run of the program. Where fn repeats something, `with ct.offline_step():` around it makes it a
    step; then at least three are traced, and any number can be dealt: the first belongs to the
    start, because it opens the weights, and the others have to be alike.

    A program whose shapes, settings or control flow are others than when it was traced departs
    from its plan, and gets StoreError at the first correlation that differs.

    Cost: one run of the program by all parties. Raises StoreError for a program that takes nothing
    or whose steps are not alike, ConfigError for a bad setting, RemoteError when the program fails.
    """
    settings = Settings(
        parties=parties,
        provider="first_party",
        precision=precision,
        truncation=truncation,
        checked=checked,
        network=network,
        records=True,
    )

    def traced(*args: Any, **kwargs: Any) -> _C.Engine:
        fn(*args, **kwargs)
        return current().engine

    engines = in_threads(settings, traced, args, kwargs)
    return Plan(_C.Plan.of(engines[-1]))
