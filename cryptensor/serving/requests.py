# SPDX-License-Identifier: MIT
"""The queue of a service: requests wait until a batch is full or the oldest has waited enough."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import Error, Overloaded, PeerLost


@dataclass(eq=False, slots=True)
class Request:
    """Rows of one caller, and the future that gets the rows of the answer."""

    rows: torch.Tensor = field(repr=False)
    arrived: float = field(default_factory=time.monotonic)
    future: Future[Any] = field(default_factory=Future)
    attempts: int = 0
    alone: bool = False

    @property
    def running(self) -> bool:
        """False for a request that its caller has cancelled, which needs no answer any more."""
        return self.future.running() or self.future.set_running_or_notify_cancel()


def padded(rows: torch.Tensor, length: int) -> torch.Tensor:
    """The rows, followed by zeros up to so many rows at least."""
    missing = max(0, length - len(rows))
    return torch.cat([rows, rows.new_zeros((missing, *rows.shape[1:]))])


class RequestQueue:
    """Requests in the order of their arrival; several threads take batches from it.

    max_batch: rows of a batch; max_wait: seconds that a request waits for others; limit: requests
    that may wait. A request that has been lost `alone_after` times, or is marked so, is given out
    alone, so that it cannot take others with it once more.
    """

    def __init__(self, max_batch: int, max_wait: float, limit: int, alone_after: int) -> None:
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._limit = limit
        self._alone_after = alone_after
        self._waiting: deque[Request] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._dropped = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, request: Request) -> None:
        """Raises Overloaded when the queue is full, Error after close()."""
        with self._changed:
            if self._closed:
                raise Error("the service is closed and takes no more requests")
            if len(self._waiting) >= self._limit:
                raise Overloaded(
                    f"{len(self._waiting)} requests wait already and queue_limit is {self._limit}; "
                    "try again later, or serve with more replicas or a larger max_batch"
                )
            self._waiting.append(request)
            self._changed.notify_all()

    def put_back(self, requests: list[Request]) -> None:
        """Requests whose replica was lost come first, whatever the limit and also after close()."""
        with self._changed:
            if not self._dropped:
                self._waiting.extendleft(reversed(requests))
                self._changed.notify_all()
                return
        _give_up(requests)

    def take(self, patience: float) -> list[Request]:
        """The next batch, or nothing after `patience` seconds without a request."""
        end = time.monotonic() + patience
        with self._changed:
            while True:
                now = time.monotonic()
                until = end
                if self._waiting:
                    until = self._waiting[0].arrived + self._max_wait
                    batch, full = self._first()
                    if full or self._closed or now >= until:
                        for _ in batch:
                            self._waiting.popleft()
                        return [request for request in batch if request.running]
                elif now >= end or self._closed:
                    return []
                self._changed.wait(max(0.0, until - now))

    def close(self) -> None:
        """No more requests; those that wait can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drop(self) -> int:
        """Gives up all that waits and whatever comes back; returns how many that were."""
        with self._changed:
            self._closed = self._dropped = True
            dropped = [request for request in self._waiting if request.running]
            self._waiting.clear()
        _give_up(dropped)
        return len(dropped)

    def _first(self) -> tuple[list[Request], bool]:
        """The requests that fit into the next batch, and whether no more would."""
        batch: list[Request] = []
        rows = 0
        for request in self._waiting:
            alone = request.alone or request.attempts >= self._alone_after
            if batch and (alone or rows + len(request.rows) > self._max_batch):
                return batch, True
            batch.append(request)
            rows += len(request.rows)
            if alone or rows == self._max_batch:
                return batch, True
        return batch, False


def _give_up(requests: list[Request]) -> None:
    for request in requests:
        request.future.set_exception(PeerLost("the service was closed before it could answer"))
