# SPDX-License-Identifier: MIT
"""One party's way through encryption and inference, counted and timed module by module."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn
from torch.utils._pytree import tree_leaves

from .. import session
from ..config import Settings
from ..data import share
from ..nn import encrypt
from ..tensor import CrypTensor
from .inputs import entered
from .modules import followed
from .rehearsal import rehearsal

_COUNTERS = ("rounds", "bytes_sent", "bytes_received", "dealer_bytes")
# Inferences behind the first one: the quickest of each row counts.
_REPETITIONS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """Who owns what, and what is run.

    src: the owner of the weights, None where they are public. input_src: the owner of the inputs.
    shared_weights, shared_inputs: turned into shares of no owner first. repeated: count an
    inference that comes later, not the first. step: what is run instead of model(...).
    """

    settings: Settings
    src: int | None
    input_src: int
    integers: bool = False
    shared_weights: bool = False
    shared_inputs: bool = False
    repeated: bool = False
    step: Callable[..., Any] | None = None


class Reading(NamedTuple):
    """Counters of a party at one moment, or what happened between two."""

    rounds: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dealer_bytes: int = 0
    dealer_requests: int = 0
    dealer_seconds: float = 0.0
    seconds: float = 0.0  # that this party's thread computed, without the dealer's work

    def since(self, start: Reading) -> Reading:
        return Reading._make(a - b for a, b in zip(self, start, strict=True))

    def plus(self, other: Reading) -> Reading:
        return Reading._make(a + b for a, b in zip(self, other, strict=True))

    def no_slower(self, other: Reading) -> Reading:
        """The same counts in the shorter of both times."""
        seconds = min(self.seconds, other.seconds)
        return self._replace(
            seconds=seconds, dealer_seconds=min(self.dealer_seconds, other.dealer_seconds)
        )


class Counted(NamedTuple):
    """A module over all of its calls: with the modules inside it, and without."""

    type: str
    calls: int
    whole: Reading
    own: Reading

    def no_slower(self, other: Counted) -> Counted:
        whole, own = self.whole.no_slower(other.whole), self.own.no_slower(other.own)
        return self._replace(whole=whole, own=own)


class Counts(NamedTuple):
    """Of one party: rows by name, in the order in which the modules first ran."""

    rows: dict[str, Counted]
    total: Reading
    setup: Reading | None

    def no_slower(self, other: Counts) -> Counts:
        rows = {name: row.no_slower(other.rows[name]) for name, row in self.rows.items()}
        return Counts(rows, self.total.no_slower(other.total), self.setup)


class _Rows:
    """Reads the counters around each module."""

    def __init__(self) -> None:
        self.rows: dict[str, Counted] = {}
        self._open: list[list[Reading]] = []  # at the start, and spent by the modules inside
        self._lost = 0.0  # seconds of the reading itself

    def now(self) -> Reading:
        start = time.thread_time()
        engine: Any = session.current().engine
        rows = engine.stats()
        counts = (sum(row[name] for row in rows) for name in _COUNTERS)
        dealing, requests = engine.dealing()
        reading = Reading._make([*counts, requests, dealing, start - dealing - self._lost])
        self._lost += time.thread_time() - start
        return reading

    def enter(self, path: str, module: nn.Module) -> None:
        self.rows.setdefault(path, Counted(type(module).__name__, 0, Reading(), Reading()))
        self._open.append([self.now(), Reading()])

    def leave(self, path: str, module: nn.Module) -> None:
        start, inside = self._open.pop()
        spent = self.now().since(start)
        kind, calls, whole, own = self.rows[path]
        own = own.plus(spent.since(inside))
        self.rows[path] = Counted(kind, calls + 1, whole.plus(spent), own)
        if self._open:
            self._open[-1][1] = self._open[-1][1].plus(spent)

    def add(self, name: str, spent: Reading) -> None:
        self.rows[name] = Counted("", 1, spent, spent)


def counted(model: nn.Module, args: Any, kwargs: Any, plan: Plan, rank: int) -> Counts:
    """What the plan costs party `rank`, which plays it alone. The arguments are left as they are.

    Raises what the model, or the entry of its weights and inputs, raises at that party.
    """
    with rehearsal(rank, plan.settings):
        return counted_here(model, args, kwargs, plan)


def counted_here(model: nn.Module, args: Any, kwargs: Any, plan: Plan) -> Counts:
    """The same for the party of the current session, which may be a real one."""
    model = copy.deepcopy(model)
    setup = None
    if plan.src is not None:
        rows = _Rows()
        start = rows.now()
        encrypt(model, src=plan.src, in_place=True)
        if plan.shared_weights:
            _share(model)
        setup = rows.now().since(start)
    found = _once(model, args, kwargs, plan)
    if plan.repeated:
        found = _once(model, args, kwargs, plan)
        for _ in range(_REPETITIONS - 1):
            found = found.no_slower(_once(model, args, kwargs, plan))
    return found._replace(setup=setup)


def _once(model: nn.Module, args: Any, kwargs: Any, plan: Plan) -> Counts:
    """Inputs, one call, results."""
    args, kwargs = copy.deepcopy((args, kwargs))
    rows = _Rows()
    start = rows.now()
    args, kwargs = (
        entered(tree, plan.input_src, plan.integers, plan.shared_inputs) for tree in (args, kwargs)
    )
    inputs = rows.now()
    rows.add("(inputs)", inputs.since(start))
    with followed(model, rows.enter, rows.leave):
        results = plan.step(model, *args, **kwargs) if plan.step else model(*args, **kwargs)
    before = rows.now()
    if plan.step:
        forward = rows.rows[""].whole if "" in rows.rows else Reading()
        rows.add("(step)", before.since(inputs).since(forward))
    for x in tree_leaves(results):
        if isinstance(x, CrypTensor):
            x.reveal()
    end = rows.now()
    rows.add("(results)", end.since(before))
    return Counts(rows.rows, end.since(start), None)


def _share(model: nn.Module) -> None:
    """Turns the secret tensors of a module into shares that no party knows."""
    for tensor in [*model.parameters(), *model.buffers()]:
        if isinstance(tensor, CrypTensor):
            detached: Any = tensor.detach()
            secret = share(detached)._secret
            secret.reuse()
            tensor._secret = secret
