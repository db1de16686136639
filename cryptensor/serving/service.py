# SPDX-License-Identifier: MIT
"""ct.serve(): the front door of a private-inference service, and the threads behind it."""

from __future__ import annotations

import atexit
import copy
import functools
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch

from ..config import Settings, check_integer, check_seconds
from ..errors import ConfigError, Error, Overloaded, RangeError
from ..offline import store_status
from . import cluster
from .attendant import Attendant, Health
from .metrics import Counters, Metrics
from .party_actor import Roles
from .requests import Request, RequestQueue

MAX_REPLICAS = 256
_ALONE_AFTER = 2


@dataclass(frozen=True, slots=True)
class _Entrance:
    """What a request has to look like: the shape and type of the example's rows."""

    row: tuple[int, ...]
    dtype: torch.dtype
    max_batch: int
    limit: float

    def admit(self, rows: object) -> torch.Tensor:
        """The rows, copied; else a named error that does not show a value."""
        allowed = f"a {self.dtype} tensor of shape (rows, {', '.join(map(str, self.row))})"
        if not isinstance(rows, torch.Tensor) or type(rows) is not torch.Tensor:
            raise ConfigError(f"rows is of type {type(rows).__name__}; it must be {allowed}")
        shape = tuple(rows.shape)
        if rows.dtype != self.dtype or not rows.dim() or shape[1:] != self.row:
            raise ConfigError(
                f"rows is a {rows.dtype} tensor of shape {shape}; it must be {allowed}"
            )
        if not 0 < len(rows) <= self.max_batch:
            raise ConfigError(f"rows has {len(rows)} rows; it must have 1 to {self.max_batch}")
        if rows.dtype.is_floating_point and not bool((rows.abs() < self.limit).all()):
            # Refused here, it cannot spoil the batch of others.
            raise RangeError(f"rows holds a NaN or a number beyond the range of {self.limit:g}")
        return rows.detach().clone().contiguous()


class Service:
    """A running service, made by serve(). Usable in `with`, and from several threads."""

    def __init__(
        self, ray: Any, own_cluster: bool, entrance: _Entrance, queue: RequestQueue, **parts: Any
    ) -> None:
        self._ray = ray
        self._own_cluster = own_cluster
        self._entrance = entrance
        self._queue = queue
        self._counters = Counters()
        self._parts = {"queue": queue, "counters": self._counters, "ray": ray, **parts}
        self._attendants: list[Attendant] = []
        self._started = 0
        self._lock = threading.Lock()
        self._closed = False
        # Processes that outlive the program's last line would be ended in the middle of a batch.
        self._at_exit = functools.partial(self.close, 0.0)
        atexit.register(self._at_exit)

    def submit(self, rows: torch.Tensor) -> Future[Any]:
        """Puts a request of the client's party into the queue and returns at once.

        rows: (1 to max_batch, ...), in shape and type as the rows of the example. The future's
        result is the model's answer, one row for each. A request whose replica is lost is tried on
        another one; after three losses the future raises RemoteError, and at once where a session
        with checked=True finds a value of the request beyond the range.

        Raises ConfigError for another shape or type, RangeError for what cannot be encoded,
        Overloaded when queue_limit requests wait, Error when the service is closed.
        """
        request = Request(self._entrance.admit(rows))
        try:
            self._queue.put(request)
        except Overloaded:
            self._counters.add(refused=1)
            raise
        self._counters.add(requests=1)
        return request.future

    def metrics(self) -> Metrics:
        """Counters and latency since the start, see Metrics."""
        ready = sum(replica.state in ("ready", "busy") for replica in self.health())
        return self._counters.snapshot(len(self._queue), ready, self._batches_left())

    def health(self) -> list[Health]:
        """The state of each replica, see Health."""
        return [attendant.health() for attendant in self._attendants]

    def scale(self, replicas: int) -> None:
        """Starts or ends replicas until there are so many; returns when the new ones are ready.

        A replica that ends finishes its batch. Raises ConfigError for a bad number, RemoteError
        where a replica cannot be started.
        """
        check_integer("replicas", replicas, 1, MAX_REPLICAS)
        with self._lock:
            if self._closed:
                raise Error("the service is closed and starts no more replicas")
            surplus = self._attendants[replicas:]
            del self._attendants[replicas:]
            for attendant in surplus:
                attendant.stop()
            new = [self._attendant() for _ in range(replicas - len(self._attendants))]
            self._attendants += new
        try:
            for attendant in new:
                attendant.await_start()
        except BaseException:
            with self._lock:
                self._attendants = [a for a in self._attendants if a not in new]
            for attendant in new:
                attendant.stop()
            raise

    def close(self, seconds: float = 30.0) -> None:
        """Answers what waits, for so many seconds at most, and ends all processes.

        What is not answered by then gets PeerLost. May be called twice.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        end = time.monotonic() + seconds
        self._queue.close()
        while len(self._queue) and self._attendants and time.monotonic() < end:
            time.sleep(0.01)
        for attendant in self._attendants:
            attendant.tell_to_stop()
        for attendant in self._attendants:
            attendant.stop(max(1.0, end - time.monotonic()))
        self._counters.add(failed=self._queue.drop())
        atexit.unregister(self._at_exit)
        if self._own_cluster:
            self._ray.shutdown()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _batches_left(self) -> int | None:
        settings: Settings = self._parts["settings"]
        if settings.store is None:
            return None
        parties = range(settings.parties)
        return min(store_status(settings.store, party).steps_left for party in parties)

    def _attendant(self) -> Attendant:
        self._started += 1
        return Attendant(number=self._started - 1, **self._parts)


def serve(
    model: torch.nn.Module,
    example: torch.Tensor,
    *,
    replicas: int = 2,
    max_batch: int = 32,
    max_wait: float = 0.005,
    pad: bool = False,
    queue_limit: int = 1_000,
    parties: int = 2,
    model_party: int = 0,
    client_party: int = 1,
    **settings: Any,
) -> Service:
    """Starts replicas of a model's private inference in Ray actors and returns their front door.

    model: in eval mode, each row of whose answer depends on the same row of its input only. Party
      `model_party` owns the weights: only its processes get them, the others a copy with zeros.
    example: a batch whose shape and type tell what a request looks like; every replica computes it
      once before it is ready.
    replicas: each is a session of its own, with keys, masks and a dealer of its own: one actor for
      each party and one for the dealer. `Service.scale` changes the number.
    max_batch, max_wait: a batch goes out with max_batch rows, or when its oldest request has waited
      max_wait seconds. queue_limit: requests that may wait, before submit() raises Overloaded.
    pad: fill every batch up to max_batch with rows of zeros, so that the parties do not learn how
      many rows were asked for, and every batch is the same program. Else that number is public.
    client_party: the party that owns requests and answers. submit() is its door; the other
      parties' processes get no row of them.

    A replica of which a process dies, hangs for `timeout` seconds or raises is ended and started
    anew, and its requests are tried on another one. A retry is a computation of its own, under
    fresh masks. `settings` are those of ct.launch; provider="stored" takes what was dealt by the
    plan of serving.plan_of_service(), and Metrics.batches_left tells how long it lasts.

    All processes run in one Ray cluster of one machine, under one user, who can read all of them:
    as with launch, privacy between parties needs them apart. Where no Ray runs yet, one is started
    and ended with the service.

    Raises ConfigError for a bad argument, RemoteError where the model does not run on secrets,
    ImportError without Ray.
    """
    check_integer("replicas", replicas, 1, MAX_REPLICAS)
    check_integer("max_batch", max_batch, 1, 2**20)
    check_seconds("max_wait", max_wait)
    check_integer("queue_limit", queue_limit, 1, 2**20)
    if not isinstance(pad, bool):
        raise ConfigError(f"pad is {pad!r}; it must be True or False")
    chosen = Settings(parties=parties, **{"setup_timeout": 120.0, **settings})
    if chosen.provider == "stored" and not pad:
        raise ConfigError(
            "pad is False; it must be True with provider 'stored', see plan_of_service"
        )
    for name, party in (("model_party", model_party), ("client_party", client_party)):
        check_integer(name, party, 0, parties - 1)
    _check_model(model, example, max_batch)
    limit = 2.0 ** (62 - chosen.precision)
    entrance = _Entrance(tuple(example.shape[1:]), example.dtype, max_batch, limit)
    entrance.admit(example)
    ray, own_cluster = cluster.start()
    try:
        owned, outline = ray.put(model), ray.put(_outline(model))
    except BaseException:
        if own_cluster:
            ray.shutdown()
        raise
    service = Service(
        ray,
        own_cluster,
        entrance,
        RequestQueue(max_batch, max_wait, queue_limit, _ALONE_AFTER),
        settings=chosen,
        roles=Roles(model_party, client_party),
        models=[owned if party == model_party else outline for party in range(parties)],
        example=example.detach().clone(),
        pad_to=max_batch if pad else 0,
    )
    try:
        service.scale(replicas)
    except BaseException:
        service.close(0.0)
        raise
    return service


def _check_model(model: object, example: object, max_batch: int) -> None:
    if not isinstance(model, torch.nn.Module):
        raise ConfigError(f"model is of type {type(model).__name__}; it must be a torch.nn.Module")
    if any(module.training for module in model.modules()):
        raise ConfigError("model is in training mode; it must be in eval mode: call model.eval()")
    if not isinstance(example, torch.Tensor) or example.dim() == 0:
        raise ConfigError("example must be a tensor of rows, in shape and type like the requests")


def _outline(model: torch.nn.Module) -> torch.nn.Module:
    """The same structure without the values that only their owner may know."""
    outline = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in (*outline.parameters(), *outline.buffers()):
            if tensor.is_floating_point():
                tensor.zero_()
    return outline
