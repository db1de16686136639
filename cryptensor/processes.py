# SPDX-License-Identifier: MIT
"""The processes of a local run as their parent sees them: start, watch, stop."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from .config import Settings
from .failure import Failure
from .party import BOOTSTRAP, Task

# How long the others may take to end by themselves once a party failed, or all have finished.
_GRACE_SECONDS = 1.0
_POLL_SECONDS = 0.05
_TERMINATE_SECONDS = 0.3
# Taken at a time from one process: who never stops sending must not keep the others waiting.
_MAX_MESSAGES = 256

Progress = Callable[[int, object], None]


class PartyProcess:
    """One party or the dealer in a process of its own."""

    def __init__(self, rank: int, settings: Settings, port: int, work: int) -> None:
        self.rank = rank
        self.party, worker = divmod(rank, settings.workers)
        self.is_dealer = self.party == settings.parties
        self.name = f"the dealer (rank {rank})" if self.is_dealer else f"party {self.party}"
        if settings.workers > 1 and not self.is_dealer:
            self.name += f", worker {worker}"
        self.done = False
        self.failure: Failure | None = None
        self._result = os.memfd_create(f"cryptensor-result-{rank}")
        self._pipe, theirs = Pipe()
        pipe, result = theirs.fileno(), self._result
        task = Task(rank, self.name, os.getpid(), port, settings, pipe, work, result)
        try:
            self._process = _spawn(task)
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def finished(self) -> bool:
        return self.done or self.failure is not None

    @property
    def pipe(self) -> Connection:
        return self._pipe

    def collect(self, on_progress: Progress | None) -> None:
        """Takes in messages that have come, and the process's end."""
        try:
            for _ in range(_MAX_MESSAGES):
                if self.finished or not self._pipe.poll():
                    break
                kind, content = self._pipe.recv()
                self._take(kind, content, on_progress)
        except (EOFError, OSError):
            self._await_end()
        if not self.finished and self._process.poll() is not None and not self._pipe.poll():
            self._note_end()

    def result(self) -> object:
        """What the party's function returned. Only after `done`."""
        with os.fdopen(os.dup(self._result), "rb") as file:
            file.seek(0)
            # Written by the process that this one started, in a file that only they have.
            return pickle.load(file)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def close(self, deadline: float) -> None:
        """Ends the process and its children, by force after the deadline, and frees everything."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._pipe.close()
        os.close(self._result)

    def _take(self, kind: str, content: Any, on_progress: Progress | None) -> None:
        if kind == "done":
            self.done = True
        elif kind == "failed":
            self.failure = content
        elif on_progress is not None:
            on_progress(self.party, content)

    def _await_end(self) -> None:
        # The pipe closes a moment before the process can be reaped.
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._note_end()

    def _note_end(self) -> None:
        if not self.finished:
            self.failure = Failure.of_exit(self.party, self.name, self._process.returncode)

    def _signal(self, number: int) -> None:
        # The process leads a group of its own, so its children (data loaders) end with it. The
        # group can outlive its leader, and its number cannot be reused while it does.
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


def watch(processes: list[PartyProcess], on_progress: Progress | None) -> list[Failure]:
    """Waits until all processes finished, or one failed and the others had time to end.

    Returns the failures in the order in which they came, those of one moment by rank. Never blocks
    on a large message and does not itself stop a process.
    """
    failures: list[Failure] = []
    deadline = None
    while True:
        running = [p for p in processes if not p.finished]
        wait([p.pipe for p in running], _POLL_SECONDS)
        for process in running:
            process.collect(on_progress)
            if process.failure is not None:
                failures.append(process.failure)
        running = [p for p in processes if not p.finished]
        if not running:
            return failures
        if deadline is None and (failures or all(p.is_dealer for p in running)):
            deadline = time.monotonic() + _GRACE_SECONDS
        if deadline is not None and time.monotonic() > deadline:
            return failures


def stop(processes: list[PartyProcess]) -> None:
    """Ends all processes: those that finished may leave by themselves, the others must go."""
    for process in processes:
        if not process.done:
            process.terminate()
    deadline = time.monotonic() + _TERMINATE_SECONDS
    for process in processes:
        process.close(deadline)


def _spawn(task: Task) -> subprocess.Popen[bytes]:
    threads = str(task.settings.threads)
    return subprocess.Popen(
        [sys.executable, "-c", BOOTSTRAP, task.to_json()],
        env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        stdin=subprocess.DEVNULL,
        pass_fds=(task.pipe, task.work, task.result),
        # Ctrl-C goes to the parent alone, which then ends the parties.
        start_new_session=True,
    )
