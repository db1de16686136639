# SPDX-License-Identifier: MIT
"""What one inference costs: the protocol is run in threads of this process, and counted."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from .. import session
from ..launch import simulate
from ..nn import encrypt
from ..tensor import CrypTensor
from .modules import followed
from .network import Network
from .report import LayerCost

_COUNTERS = ("rounds", "bytes_sent", "bytes_received", "dealer_bytes")


class Reading(NamedTuple):
    """Counters of a party at one moment, or what happened between two."""

    rounds: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dealer_bytes: int = 0
    seconds: float = 0.0  # that this party's thread computed; waiting is none

    @classmethod
    def now(cls) -> Reading:
        rows = session.current().engine.stats()
        counts = (sum(row[name] for row in rows) for name in _COUNTERS)
        return cls(*counts, time.thread_time())

    def since(self, start: Reading) -> Reading:
        return Reading(*(a - b for a, b in zip(self, start, strict=True)))

    def plus(self, other: Reading) -> Reading:
        return Reading(*(a + b for a, b in zip(self, other, strict=True)))


class Counted(NamedTuple):
    """A module's readings, over all of its calls."""

    type: str
    calls: int
    reading: Reading


class Costs(NamedTuple):
    """Of one party: rows by name, in the order in which the modules first ran."""

    rows: dict[str, Counted]
    total: Reading
    setup: Reading | None


class _Rows:
    """Reads the counters around each module."""

    def __init__(self) -> None:
        self.rows: dict[str, Counted] = {}
        self._open: list[Reading] = []

    def enter(self, path: str, module: nn.Module) -> None:
        self.rows.setdefault(path, Counted(type(module).__name__, 0, Reading()))
        self._open.append(Reading.now())

    def leave(self, path: str, module: nn.Module) -> None:
        spent = Reading.now().since(self._open.pop())
        kind, calls, reading = self.rows[path]
        self.rows[path] = Counted(kind, calls + 1, reading.plus(spent))

    def add(self, name: str, spent: Reading) -> None:
        self.rows[name] = Counted("", 1, spent)


def _infer(
    model: nn.Module, enter: Any, args: Any, kwargs: Any, src: int | None, gradients: bool
) -> Costs:
    """One inference, at one party."""
    with torch.set_grad_enabled(gradients):
        setup = None
        if src is not None:
            start = Reading.now()
            model = encrypt(model, src=src, in_place=True)
            setup = Reading.now().since(start)
        rows = _Rows()
        start = Reading.now()
        args, kwargs = enter(args), enter(kwargs)
        rows.add("(inputs)", Reading.now().since(start))
        with followed(model, rows.enter, rows.leave):
            results = model(*args, **kwargs)
        before = Reading.now()
        for x in tree_leaves(results):
            if isinstance(x, CrypTensor):
                x.reveal()
        end = Reading.now()
        rows.add("(results)", end.since(before))
        return Costs(rows.rows, end.since(start), setup)


def measured(
    model: nn.Module,
    enter: Any,
    args: Any,
    kwargs: Any,
    *,
    src: int | None,
    parties: int,
    precision: int,
) -> Costs:
    """Runs the model on the examples at all parties, in threads; raises RemoteError as they do.

    The costs are those of party 0, but for the dealer's bytes, which the last party receives.
    enter: makes secrets of the example's tensors, at every party. src: who owns the weights, None
    where they are public.
    """
    work = (model, enter, args, kwargs, src, torch.is_grad_enabled())
    first, *_, last = simulate(_infer, *work, parties=parties, precision=precision)

    def joined(mine: Reading, dealt: Reading) -> Reading:
        return mine._replace(dealer_bytes=dealt.dealer_bytes)

    rows = {
        name: row._replace(reading=joined(row.reading, last.rows[name].reading))
        for name, row in first.rows.items()
    }
    setup = first.setup and joined(first.setup, last.setup)
    return Costs(rows, joined(first.total, last.total), setup)


def layer(name: str, kind: str, calls: int, spent: Reading, network: Network) -> LayerCost:
    # Both directions of a link work at once, and the dealer's corrections come in beside the rest.
    traffic = max(spent.bytes_sent, spent.bytes_received + spent.dealer_bytes)
    seconds = spent.seconds + network.seconds(spent.rounds, traffic)
    return LayerCost(name, kind, calls, *spent[:4], seconds)
