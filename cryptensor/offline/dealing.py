# SPDX-License-Identifier: MIT
"""deal(): makes the store of a plan; store_status(): what is left of one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .. import _C
from ..errors import ConfigError
from ..session import store_file
from .plan import Plan

# Of a lot where nothing else is asked for: it is checked as a whole when a session claims it.
_LOT_BYTES = 64 << 20
_MAX_COUNT = 2**32
_MAX_JOBS = 1024


@dataclass(frozen=True, slots=True)
class Dealt:
    """A store: its files by party, and how it is divided."""

    files: tuple[Path, ...]
    lots: int
    steps_per_lot: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One party's file. A lot is `steps` steps (or runs of a program without steps)."""

    party: int
    parties: int
    precision: int
    truncation: str
    checked: bool
    lots: int
    lots_left: int
    steps: int
    bytes: int
    plan: str

    @property
    def steps_left(self) -> int:
        """Steps of the lots that no session has claimed."""
        return self.steps * self.lots_left


def deal(
    plan: Plan,
    out: str | os.PathLike[str],
    count: int,
    *,
    steps_per_lot: int | None = None,
    jobs: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dealt:
    """Deals `count` steps of a plan (or runs, where it has no steps): out/party<p>.store.

    A session uses up whole lots of `steps_per_lot` steps; left out, as many as fit 64 MiB. The last
    party's file has all corrections, the others' only a key; give every party its own file and
    nothing else. `jobs` threads deal a lot each. on_progress(lots done, lots in all) is called now
    and then, from any thread.

    What was interrupted goes on with the same call: lots that are whole are kept. Memory: the
    largest correlation of the plan, a few times, per job.

    Raises ConfigError for an impossible number, and StoreError where the folder holds a store, or
    an unfinished one of another plan or size, or the disk refuses.
    """
    steps = _steps_per_lot(plan, count, steps_per_lot)
    _check("jobs", jobs, 1, _MAX_JOBS)
    lots = -(-count // steps)
    folder = os.fspath(out)
    writer = _C.StoreWriter(folder, plan._plan, lots, steps - 1)
    numbers = iter(range(lots))
    lock = threading.Lock()
    done = 0
    stop = threading.Event()

    def work() -> None:
        nonlocal done
        while not stop.is_set():
            with lock:
                lot = next(numbers, None)
            if lot is None:
                return
            writer.deal(lot)
            with lock:
                done += 1
                if on_progress is not None:
                    on_progress(done, lots)

    workers = min(jobs or os.cpu_count() or 1, lots)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for result in [pool.submit(work) for _ in range(workers)]:
                result.result()
        finally:
            stop.set()
    writer.finish()
    files = tuple(Path(store_file(folder, party)) for party in range(plan.parties))
    return Dealt(files, lots, steps, sum(file.stat().st_size for file in files))


def store_status(path: str | os.PathLike[str], party: int = 0) -> StoreStatus:
    """What one party's file holds and how much of it is left; `path` may be its folder.

    Raises StoreError for what is no store, or a truncated or altered one. The corrections are not
    read: those are checked lot by lot when a session claims them.
    """
    found = _C.store_status(store_file(os.fspath(path), party))
    plan = found.pop("digest").hex()
    return StoreStatus(**found, plan=plan)


def _steps_per_lot(plan: Plan, count: int, asked: int | None) -> int:
    _check("count", count, 1, _MAX_COUNT)
    _check("steps_per_lot", asked, 1, _MAX_COUNT)
    if not plan.has_steps:
        if asked not in (None, 1):
            raise ConfigError(
                f"steps_per_lot is {asked} for a plan without steps; it must be 1, or left out"
            )
        return 1
    if asked is None:
        fitting = 1 + max(0, _LOT_BYTES - plan.start_bytes) // max(1, plan.step_bytes)
        # Lots of equal size, so that no more than one lot's steps are dealt in vain.
        lots = -(-count // fitting)
        return -(-count // lots)
    return min(asked, count)


def _check(name: str, value: object, low: int, high: int) -> None:
    if value is None and name != "count":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}; it must be an integer from {low} to {high}")
