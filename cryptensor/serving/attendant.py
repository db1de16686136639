# SPDX-License-Identifier: MIT
"""The thread that keeps one replica alive and feeds it batches."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import torch

from ..config import Settings
from ..errors import ConfigError, PeerLost, RangeError, RemoteError
from ..failure import Failure, remote_error
from .metrics import Counters
from .party_actor import Roles
from .replica import Replica
from .requests import Request, RequestQueue, padded

_IDLE_SECONDS = 1.0
_ATTEMPTS = 3
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """One replica: its number, how often it was started anew, and its processes by rank.

    state: "starting", "ready" (waits for requests), "busy", "lost" (waits before the next start;
      `reason` is the error) or "ended".
    """

    number: int
    state: str
    restarts: int
    processes: tuple[int, ...]
    reason: str = ""


class Attendant:
    """Starts a replica, gives it batch after batch, and starts another when it is lost."""

    def __init__(
        self,
        number: int,
        ray: Any,
        settings: Settings,
        roles: Roles,
        models: list[Any],
        example: torch.Tensor,
        pad_to: int,
        queue: RequestQueue,
        counters: Counters,
    ) -> None:
        self._number = number
        self._example = example
        self._pad_to = pad_to
        self._queue = queue
        self._counters = counters
        self._state = "starting"
        self._reason = ""
        self._restarts = 0
        self._processes: tuple[int, ...] = ()
        self._first_error: BaseException | None = None
        self._first_start = threading.Event()
        self._stop = threading.Event()
        self._parts = (ray, settings, roles, models, self._stop)
        self._thread = threading.Thread(target=self._attend, name=f"replica {number}", daemon=True)
        self._thread.start()

    def health(self) -> Health:
        return Health(self._number, self._state, self._restarts, self._processes, self._reason)

    def await_start(self) -> None:
        """Returns when the first start has succeeded, else raises what has gone wrong."""
        self._first_start.wait()
        if self._first_error is not None:
            raise self._first_error

    def tell_to_stop(self) -> None:
        """The thread ends after its batch."""
        self._stop.set()

    def stop(self, seconds: float | None = None) -> None:
        """Ends the thread and the replica's processes; waits for at most so many seconds."""
        self._stop.set()
        self._thread.join(seconds)

    def _attend(self) -> None:
        pause = 1.0
        while not self._stop.is_set():
            self._state = "starting"
            try:
                replica = self._start()
            except BaseException as error:
                self._note_loss(error)
                if not self._first_start.is_set():
                    self._first_error = _remote(error, self._number)
                    break
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            self._first_start.set()
            pause = 1.0
            self._serve(replica)
        self._state, self._processes = "ended", ()
        self._first_start.set()

    def _start(self) -> Replica:
        replica = Replica(*self._parts)
        try:
            example = padded(self._example, self._pad_to)
            rows, _ = replica.infer(example)
            if rows.dim() == 0 or len(rows) != len(example):
                raise ConfigError(
                    f"the model answers {len(example)} rows by a tensor of shape "
                    f"{tuple(rows.shape)}; it must answer one row for each"
                )
        except BaseException:
            replica.kill()
            raise
        self._processes = tuple(replica.processes)
        return replica

    def _serve(self, replica: Replica) -> None:
        """Until the replica is lost or has to end."""
        batch: list[Request] = []
        try:
            while not self._stop.is_set():
                self._state = "ready"
                batch = self._queue.take(_IDLE_SECONDS)
                if batch:
                    self._state = "busy"
                    self._answer(replica, batch)
                else:
                    replica.check()
        except Exception as error:
            replica.kill()
            self._note_loss(error)
            self._restarts += 1
            self._counters.add(restarts=1)
            self._try_again(batch, error)
        else:
            replica.close()

    def _answer(self, replica: Replica, batch: list[Request]) -> None:
        counts = [len(request.rows) for request in batch]
        try:
            joined = torch.cat([request.rows for request in batch])
            rows, answers = replica.infer(padded(joined, self._pad_to))
        except Exception as error:
            # What every party raises for a value leaves the session as it was.
            if _kind(error) != RangeError.__name__:
                raise
            self._find_culprit(batch, error)
            return
        self._counters.add(
            batches=1,
            rows=sum(counts),
            rounds=max(answer.rounds for answer in answers),
            bytes_online=sum(answer.bytes_online for answer in answers),
            bytes_dealer=sum(answer.bytes_dealer for answer in answers),
        )
        now = time.monotonic()
        for request, piece in zip(batch, rows[: sum(counts)].split(counts), strict=True):
            self._counters.answered(now - request.arrived)
            request.future.set_result(piece)

    def _find_culprit(self, batch: list[Request], error: Exception) -> None:
        """One request is to blame for a value that is out of range: each goes alone."""
        if len(batch) == 1:
            batch[0].future.set_exception(_remote(error, self._number))
            self._counters.add(failed=1)
            return
        for request in batch:
            request.alone = True
        self._queue.put_back(batch)

    def _try_again(self, batch: list[Request], error: Exception) -> None:
        again = []
        for request in batch:
            request.attempts += 1
            if request.future.done():
                continue
            if request.attempts < _ATTEMPTS:
                again.append(request)
            else:
                request.future.set_exception(_remote(error, self._number))
                self._counters.add(failed=1)
        self._counters.add(retried=len(again))
        self._queue.put_back(again)

    def _note_loss(self, error: BaseException) -> None:
        self._state, self._processes = "lost", ()
        self._reason = ": ".join([_kind(error), *str(_cause(error)).splitlines()[:1]])


def _remote(error: BaseException, number: int) -> RemoteError:
    """The error as ct.launch would raise it."""
    cause = _cause(error)
    trace = getattr(error, "traceback_str", "")
    return remote_error([Failure(-1, f"replica {number}", _kind(error), str(cause), trace or " ")])


def _cause(error: BaseException) -> BaseException:
    """What a party raised, out of what Ray makes of it."""
    return getattr(error, "cause", None) or error


def _kind(error: BaseException) -> str:
    # Ray has classes of its own for a process that is gone.
    name = type(_cause(error)).__name__
    return PeerLost.__name__ if "Actor" in name else name
