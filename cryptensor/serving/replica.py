# SPDX-License-Identifier: MIT
"""A replica as the service sees it: actors of all parties and the dealer, in one session."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any

import torch

from .. import rendezvous
from ..config import Settings
from ..errors import PeerLost, PeerTimeout
from .party_actor import Answer, PartyActor, Roles

_CLOSE_SECONDS = 5.0
_LOOK_SECONDS = 0.2


class Replica:
    """Actors that were started together and end together: a session that lost one is over.

    models: the references of Ray to what each party has of the model, by party. Raises whatever
    an actor raises, or PeerLost once the replica is `unwanted`, and then no actor is left.
    """

    def __init__(
        self,
        ray: Any,
        settings: Settings,
        roles: Roles,
        models: list[Any],
        unwanted: threading.Event,
    ) -> None:
        self._ray = ray
        self._settings = settings
        self._roles = roles
        self._unwanted = unwanted
        self._store = rendezvous.serve_loopback_store()
        # The processes mostly wait for each other: how many share a core is the caller's choice.
        actor = ray.remote(PartyActor).options(num_cpus=0, max_restarts=0, max_task_retries=0)
        self._actors = [
            actor.remote(rank, settings, self._store.port, roles, sys.path)
            for rank in range(settings.ranks)
        ]
        try:
            self.processes = self._get([a.process.remote() for a in self._actors], setup=True)
            self._dealing = [a.deal.remote() for a in self._actors[settings.parties :]]
            opened = [
                party.open.remote(model) for party, model in zip(self._parties, models, strict=True)
            ]
            self._get(opened, setup=True)
        except BaseException:
            self.kill()
            raise

    @property
    def _parties(self) -> list[Any]:
        return self._actors[: self._settings.parties]

    def infer(self, rows: torch.Tensor) -> tuple[torch.Tensor, list[Answer]]:
        """The answer to a batch, and what it cost each party. Raises what a party raises."""
        # The rows go to the process of the client's party and to no other one.
        work = [
            party.infer.remote(rows if rank == self._roles.client else None)
            for rank, party in enumerate(self._parties)
        ]
        answers = self._ray.get(work)
        found = answers[self._roles.client].rows
        # Ray's arrays are read-only views of its store.
        return found.clone(), answers

    def check(self) -> None:
        """Raises unless all processes are there and answer."""
        self._get([party.process.remote() for party in self._parties])
        if self._dealing and self._ray.wait(self._dealing, timeout=0)[0]:
            self._ray.get(self._dealing)
            raise PeerTimeout("the dealer of a replica has ended")

    def close(self) -> None:
        """Ends the session in order where that is possible, and then the processes."""
        with contextlib.suppress(Exception):
            # A party that does not leave by itself has to go.
            goodbyes = [party.close.remote() for party in self._parties]
            self._ray.get([*goodbyes, *self._dealing], timeout=_CLOSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends all processes at once."""
        for actor in self._actors:
            self._ray.kill(actor, no_restart=True)

    def _get(self, references: list[Any], setup: bool = False) -> list[Any]:
        seconds = self._settings.setup_timeout if setup else self._settings.timeout
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if setup and self._unwanted.is_set():
                raise PeerLost("the service does not want this replica any more")
            try:
                found: list[Any] = self._ray.get(references, timeout=_LOOK_SECONDS)
            except self._ray.exceptions.GetTimeoutError:
                continue
            return found
        raise PeerTimeout(f"a process of a replica did not answer within {seconds:g} s")
