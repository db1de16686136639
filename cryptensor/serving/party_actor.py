# SPDX-License-Identifier: MIT
"""One party, or the dealer, of a replica: what runs inside a Ray actor."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import torch

from .. import nn, profiler, rendezvous, session
from ..config import Settings
from ..data import cryptensor
from ..offline import offline_step

_DEALER_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Roles:
    """Who owns what: the weights, and the requests with their answers."""

    model: int
    client: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one party has after a batch: the rows of the answer at the client's party only."""

    rows: torch.Tensor | None
    rounds: int
    bytes_online: int
    bytes_dealer: int


def one_batch(
    model: torch.nn.Module, rows: torch.Tensor | None, roles: Roles
) -> torch.Tensor | None:
    """What every party runs for a batch: one step of what may have been dealt before."""
    with torch.no_grad(), offline_step():
        secret = model(cryptensor(rows, src=roles.client))
        opened: torch.Tensor | None = secret.reveal(dst=roles.client)
        return opened


class PartyActor:
    """A party's session in a process of its own, whose one thread runs one method at a time."""

    def __init__(
        self, rank: int, settings: Settings, port: int, roles: Roles, path: list[str]
    ) -> None:
        # The model's classes are looked up where the caller found them.
        sys.path.extend(entry for entry in path if entry not in sys.path)
        self._settings = settings
        self._roles = roles
        self._rank = rank
        self._meeting = rendezvous.Meeting(
            rank=rank,
            size=settings.ranks,
            host=rendezvous.LOOPBACK,
            port=port,
            hosts_store=False,
            loopback=True,
        )
        self._model: torch.nn.Module | None = None
        torch.set_num_threads(settings.threads)

    def process(self) -> int:
        """The number of this process: the answer says that it is there."""
        return os.getpid()

    def deal(self) -> None:
        """Serves as the dealer until the session ends."""
        os.nice(_DEALER_NICENESS)
        self._join()

    def open(self, model: torch.nn.Module) -> None:
        """Joins the replica's session and makes the model secret; only its owner's values count."""
        self._join()
        self._model = nn.encrypt(model, src=self._roles.model, in_place=True)

    def infer(self, rows: torch.Tensor | None) -> Answer:
        """One batch: the rows at the client's party, None at the others, who learn the shape."""
        assert self._model is not None
        profiler.reset_stats()
        answer = one_batch(self._model, rows, self._roles)
        total = profiler.stats().total()
        return Answer(answer, total.rounds, total.bytes_sent, total.dealer_bytes)

    def close(self) -> None:
        """Ends the session in order."""
        session.shutdown()

    def _join(self) -> None:
        store = rendezvous.open_store(self._meeting, self._settings.setup_timeout)
        session.join(store, self._meeting, self._settings)
