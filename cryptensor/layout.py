# SPDX-License-Identifier: MIT
"""More than one worker per party: worker w of every party forms a session of its own.

Ranks are laid out party by party, rank = party * workers + worker, and the dealers of the groups
come last. Two kinds of links exist: a group's session, on which everything is masked, and a process
group of torch.distributed among the workers of one party, on which that party's data move in the
clear. Nothing but a session connects two parties.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from . import inside, rendezvous, seeding, session
from .config import Settings
from .errors import ConfigError

DIMENSIONS = ("party", "worker")

Value = TypeVar("Value", torch.Tensor, torch.nn.Module)


@dataclass(eq=False, slots=True)
class Mesh:
    """Where this process stands in the layout ("party", "worker"), and what its party shares.

    party, worker: the place of this process; parties, workers: the size of the layout.
    `split` and `gather` distribute batches and results, `broadcast` weights. The last two are
    collective among the workers of one party, every one of which has to call them, and never
    reach another party.
    """

    party: int
    worker: int
    parties: int
    workers: int
    seconds: float = 30.0
    _group: dist.ProcessGroup | None = field(default=None, repr=False)

    @property
    def device_mesh(self) -> DeviceMesh:
        """The layout as torch.distributed knows it, with mesh_dim_names ("party", "worker").

        The dimension "worker" has a process group, of the workers of this party; "party" has
        none, since parties meet in a session only.
        """
        ranks = torch.arange(self.parties * self.workers).reshape(self.parties, self.workers)
        rank = self.party * self.workers + self.worker
        # The public ways to make one would connect all ranks by plain links.
        mesh = DeviceMesh("cpu", ranks, mesh_dim_names=DIMENSIONS, _init_backend=False, _rank=rank)
        if self._group is not None:
            mesh._dim_group_names = [None, self._group.group_name]  # type: ignore[list-item]
        return mesh

    def split(self, batch: torch.Tensor | None) -> torch.Tensor | None:
        """This worker's rows of a batch that every worker has, a view; None stays None.

        The first dimension is cut into `workers` pieces that differ by one row at most, at every
        party alike. Nothing is sent. Raises ConfigError for what has no first dimension.
        """
        if batch is None:
            return None
        if not isinstance(batch, torch.Tensor) or batch.dim() == 0:
            raise ConfigError(f"batch is {_described(batch)}; it must be a tensor of rows, or None")
        return batch.tensor_split(self.workers)[self.worker]

    def broadcast(self, value: Value) -> Value:
        """Worker 0's values of a plain tensor or module, in place, at all workers of the party.

        A module's parameters and buffers are taken, which must be named and shaped alike: else
        ShapeError at every worker of the party. Raises ConfigError for a secret, whose shares mean
        nothing in another group, PeerLost and PeerTimeout for a worker that is gone or stopped.
        Cost: the bytes of the values from worker 0 to each other worker, in the clear.
        """
        tensors = inside.plain_tensors(value)
        if self._group is not None:
            with inside.named_failures(self.seconds):
                inside.broadcast(tensors, self._group)
        return value

    def gather(self, rows: torch.Tensor | None) -> torch.Tensor | None:
        """The rows of all workers of this party in their order, at its worker 0; None elsewhere.

        rows: plain, equal but for the first dimension, else ShapeError at every worker of the
        party; None at every worker, as reveal() leaves it at a party that is no receiver, gives
        None. Raises ConfigError for a secret, PeerLost and PeerTimeout as broadcast() does.
        Cost: the bytes of the rows to worker 0, in the clear.
        """
        inside.check_rows(rows)
        if self._group is None:
            return rows
        with inside.named_failures(self.seconds):
            return inside.gather(rows, self._group)

    def close(self) -> None:
        """Ends the process group of the party's workers."""
        if self._group is not None:
            self._group = None
            dist.destroy_process_group()


def init_mesh(
    parties: int = 2,
    workers: int = 1,
    *,
    party_store: str | None = None,
    threads: int | None = None,
    setup_timeout: float = 60.0,
    certificates: str | None = None,
    **settings: Any,
) -> Mesh:
    """Starts this rank's session in a program that torchrun started with several workers a party.

    torchrun starts parties * workers ranks, and `workers` more for the dealers of a third-party
    provider, which serve here and then end (SystemExit 0), see init(). The first `workers` ranks
    are party 0. Every group of equal workers has its own session: its own keys, correlations,
    dealer and statistics, so that no mask is shared by two groups.

    torch.distributed's default process group becomes that of this party's workers, over the
    loopback interface. Workers on several hosts meet at `party_store` (or CRYPTENSOR_PARTY_STORE),
    "host:port" of worker 0 in a network that this party trusts as a whole: what they exchange is
    not encrypted. The other settings are those of init().

    Raises ConfigError for a bad setting, another number of ranks, a session that is open already
    or a default process group that exists already; SetupError naming the ranks that did not come.
    """
    if session.is_active():
        raise ConfigError(
            "init_mesh() was called before and its session is open: call shutdown() first"
        )
    meeting = rendezvous.from_environment()
    chosen = Settings(
        parties=parties,
        workers=workers,
        threads=torch.get_num_threads() if threads is None else threads,
        setup_timeout=setup_timeout,
        certificates=certificates or os.environ.get("CRYPTENSOR_CERTIFICATES"),
        seed=seeding.current(),
        **settings,
    )
    if meeting.size != chosen.processes:
        raise ConfigError(
            f"WORLD_SIZE is {meeting.size}; it must be {chosen.processes}: {workers} workers of "
            f"{parties} parties" + (" and a dealer for each" if chosen.ranks > parties else "")
        )
    session.refuse_insecure(chosen, meeting.loopback)
    if threads is not None:
        torch.set_num_threads(threads)
    store = rendezvous.open_store(meeting, chosen.setup_timeout)
    opened = join(store, meeting, chosen, party_store or os.environ.get("CRYPTENSOR_PARTY_STORE"))
    if opened is None:
        raise SystemExit(0)
    return mesh()


def mesh() -> Mesh:
    """The layout that this thread's session is part of; without workers, one worker per party."""
    opened = session.current()
    if opened.mesh is None:
        return Mesh(opened.engine.rank, 0, opened.engine.parties, 1)
    found: Mesh = opened.mesh
    return found


def join(
    store: dist.Store,
    meeting: rendezvous.Meeting,
    settings: Settings,
    party_store: str | None = None,
) -> session.Session | None:
    """Meets all ranks and opens this group's session; at its dealer, serves and returns None."""
    if settings.workers == 1:
        return session.join(store, meeting, settings)
    if dist.is_initialized():
        raise ConfigError(
            "torch.distributed has a default process group, which could reach other parties in the "
            "clear; it must be left to init_mesh, which makes one of this party's workers"
        )
    rendezvous.roll_call(store, meeting, settings, settings.setup_timeout)
    party, worker = divmod(meeting.rank, settings.workers)
    group, served = None, None
    if party < settings.parties:
        home, served = inside.meet(store, meeting, party, worker, settings, party_store)
        group = inside.connect(home, settings)
    group_store = dist.PrefixStore(f"worker/{worker}", store)
    opened = session.join(
        group_store,
        replace(meeting, rank=party, size=settings.ranks),
        replace(settings, seed=_own_seed(settings.seed, worker)),
    )
    if opened is None:
        return None
    opened.keep += (served,)
    opened.mesh = Mesh(party, worker, settings.parties, settings.workers, settings.timeout, group)
    inside.leave_together(store, meeting, settings)
    return opened


def _own_seed(seed: int | None, worker: int) -> int | None:
    """Equal seeds would give the groups of a seeded test equal masks."""
    if seed is None:
        return None
    digest = hashlib.sha256(f"{seed} of worker {worker}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _described(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"of type {type(value).__name__}"
