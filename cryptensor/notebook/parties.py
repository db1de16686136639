# SPDX-License-Identifier: MIT
"""The long-lived parties of a notebook, as its own process sees them."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait

from .. import rendezvous
from ..config import Settings
from ..failure import Failure
from ..launch import memory_file
from ..processes import PartyProcess, stop
from . import cells
from .side_by_side import Transcript

_POLL_SECONDS = 0.05
# How long the parties may take to end a cell that was interrupted, or failed at one of them.
_GRACE_SECONDS = 1.0
# After these a session is over, whatever the parties have counted.
_FATAL = ("PeerLost", "PeerTimeout", "ProtocolError")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended. failures: in the order in which they came, without what ending the cell
    at the other parties caused.
    """

    failures: list[Failure]
    interrupted: bool
    session_is_over: bool


class Parties:
    """One process a party, and the dealer, that run cells until close()."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._processes: list[PartyProcess] = []
        self._cells = 0
        self._ready: set[int] = set()
        work = memory_file(pickle.dumps((cells.serve, (), {})))
        try:
            self._store = rendezvous.serve_loopback_store()
            for rank in range(settings.processes):
                self._processes.append(PartyProcess(rank, settings, self._store.port, work))
        except BaseException:
            self.close()
            raise
        finally:
            os.close(work)

    @property
    def usable(self) -> bool:
        """False when the session is over."""
        return bool(self._processes)

    def run(
        self, source: str, transcripts: list[Transcript], on_step: Callable[[], None]
    ) -> Outcome:
        """Runs a cell at all parties; what they show goes to their transcripts as it comes.

        on_step is called many times a second.
        Ctrl-C interrupts the cell at all parties. Where one fails, the others have a second to end
        it. The session goes on unless the parties are, or could be, out of step: what a party has
        of a secret is worth nothing without the same step at the others. Then all processes end.
        """
        self._cells += 1
        run = _Run(self._processes, self._ready, transcripts)
        try:
            with run.stopped_by_interrupts():
                run.start(f"cell {self._cells}", source)
                while run.goes_on():
                    run.collect()
                    on_step()
        except BaseException:
            self.close()
            raise
        outcome = run.outcome()
        if outcome.session_is_over:
            self.close()
        return outcome

    def close(self) -> None:
        """Ends all processes, in a bit more than a second at most."""
        processes, self._processes = self._processes, []
        deadline = time.monotonic() + _GRACE_SECONDS
        try:
            for process in processes:
                # Who has ended already needs no word of it.
                with contextlib.suppress(OSError):
                    process.pipe.send(None)
            while time.monotonic() < deadline and not all(p.finished for p in processes):
                wait([p.pipe for p in processes if not p.finished], _POLL_SECONDS)
                for process in processes:
                    process.collect(None)
        finally:
            stop(processes)


class _Run:
    """One cell under way."""

    def __init__(
        self, processes: list[PartyProcess], ready: set[int], transcripts: list[Transcript]
    ) -> None:
        self._processes = processes
        self._ready = ready
        self._computing = [process for process in processes if not process.is_dealer]
        self._transcripts = transcripts
        self._ends: dict[int, cells.Ended] = {}
        self._failures: list[Failure] = []
        self._interrupts = 0
        self._told_to_end = False
        self._deadline: float | None = None

    def start(self, name: str, source: str) -> None:
        for process in self._computing:
            # Who is gone is noticed by collect().
            with contextlib.suppress(OSError):
                process.pipe.send((name, source))

    def goes_on(self) -> bool:
        return bool(self._running()) and not (self._told_to_end and self._is_late())

    def collect(self) -> None:
        """Takes in what has come, and waits a moment for it."""
        alive = [process for process in self._processes if not process.finished]
        wait([process.pipe for process in alive], _POLL_SECONDS)
        for process in alive:
            process.collect(self._take)
            if process.failure is not None:
                self._failures.append(process.failure)
        if self._failures and self._deadline is None:
            self._deadline = time.monotonic() + _GRACE_SECONDS
        if self._is_late() and not self._told_to_end:
            self._end_cell()

    def outcome(self) -> Outcome:
        whole = len(self._ends) == len(self._computing)
        alive = not any(process.finished for process in self._processes)
        in_step = len({end.work for end in self._ends.values()}) == 1
        kinds = {failure.kind for failure in self._failures}
        usable = whole and alive and in_step and not kinds.intersection(_FATAL)
        if self._told_to_end:
            # Between a step and the assignment of its result: they may hold different ones.
            usable = usable and not any(end.computed for end in self._ends.values())
        usable = usable and all(end.work is not None for end in self._ends.values())
        return Outcome(self._failures, self._interrupts > 0, not usable)

    @contextmanager
    def stopped_by_interrupts(self) -> Iterator[None]:
        """Ctrl-C ends the cell instead of raising here, perhaps in the middle of a message."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _interrupted(self, *_: object) -> None:
        self._interrupts += 1
        self._end_cell()

    def _end_cell(self) -> None:
        self._told_to_end = True
        self._deadline = time.monotonic() + _GRACE_SECONDS
        for process in self._running():
            # One that is still starting ends with the session.
            if process.party in self._ready:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def _running(self) -> list[PartyProcess]:
        return [p for p in self._computing if not p.finished and p.party not in self._ends]

    def _take(self, party: int, message: object) -> None:
        transcript = self._transcripts[party]
        if isinstance(message, cells.Ready):
            self._ready.add(party)
        elif isinstance(message, cells.Text):
            transcript.add(message.text)
        elif isinstance(message, cells.Figure):
            transcript.draw(message.png)
        elif isinstance(message, cells.Ended):
            self._ends[party] = message
            if message.failure is not None and not self._caused(message.failure):
                self._failures.append(message.failure)

    def _caused(self, failure: Failure) -> bool:
        return self._told_to_end and failure.kind == "KeyboardInterrupt"
