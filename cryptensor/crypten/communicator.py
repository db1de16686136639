# SPDX-License-Identifier: MIT
"""The communicator: ranks, statistics, and public values between the parties.

Everything that it sends is public to those who receive it, as in CrypTen. It travels as an input of
the engine that is opened, bit by bit the same tensor; every call is made by all parties.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from typing import Any

import torch

from .. import _C, session
from ..data import check_source
from ..errors import ConfigError, UnsupportedOperation
from ..profiler import reset_stats, stats
from .refusals import refused
from .sessions import init, is_initialized, uninit

__all__ = [
    "Communicator",
    "DistributedCommunicator",
    "InProcessCommunicator",
    "get",
    "is_initialized",
    "uninit",
]

_names: weakref.WeakKeyDictionary[_C.Engine, str] = weakref.WeakKeyDictionary()
_WORD_BYTES = 4  # an input of the engine holds 46 bits


def get() -> Communicator:
    """The communicator of this thread's session. Raises Error where there is none."""
    return Communicator(session.current().engine)


class Communicator:
    """What CrypTen's programs ask of a communicator, for one session."""

    BYTES_PER_ELEMENT = 8

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    get = staticmethod(get)
    is_initialized = staticmethod(is_initialized)
    shutdown = staticmethod(uninit)

    @staticmethod
    def initialize(rank: int = 0, world_size: int = 1, init_ttp: bool = False) -> None:
        """init(); who takes part is told by torchrun or launch, not by these arguments."""
        init()

    @property
    def instance(self) -> Communicator:
        return self

    def get_rank(self) -> int:
        return int(self._engine.rank)

    def get_world_size(self) -> int:
        """The number of parties, without the dealer."""
        return int(self._engine.parties)

    def get_ttp_rank(self) -> int:
        """The rank of the dealer, where it is a process of its own."""
        return int(self._engine.parties)

    def get_distributed_backend(self) -> str:
        return "gloo"

    def get_name(self) -> str:
        return _names.get(self._engine, f"rank{self._engine.rank}")

    def set_name(self, name: str) -> None:
        """A name for this party, of its own choice and not sent to anybody."""
        if not isinstance(name, str):
            raise ConfigError(f"name is of type {type(name).__name__}; it must be text")
        _names[self._engine] = name

    def barrier(self) -> None:
        """Returns when all parties have called it. Cost: one round."""
        self._engine.synchronize()

    def get_communication_stats(self) -> dict[str, Any]:
        """{"rounds", "bytes", "time"}: bytes sent and received, and seconds waited for peers."""
        total = stats().total()
        sent = total.bytes_sent + total.bytes_received
        return {"rounds": total.rounds, "bytes": sent, "time": total.wait_seconds}

    def reset_communication_stats(self) -> None:
        reset_stats()

    def print_communication_stats(self) -> None:
        """Prints the counters of party 0, as a table with a line for each operation."""
        if self._engine.rank == 0:
            print(stats())

    def broadcast(self, tensor: Any, src: int, async_op: bool = False) -> Any:
        """A plain tensor (or a list of them) of `src` at every party, also written to `tensor`.

        All parties pass tensors of the same shape and dtype. Cost: two rounds.
        """
        self._check(async_op, src)
        if isinstance(tensor, (list, tuple)):
            return [self.broadcast(one, src) for one in tensor]
        opened: Any = self._opened(tensor, [src], None)
        return tensor.copy_(opened[0])

    def all_gather(self, tensor: torch.Tensor, async_op: bool = False) -> list[torch.Tensor]:
        """The plain tensors of all parties, by rank. Cost: a round for each party and one more."""
        self._check(async_op)
        return self._opened(tensor, range(self._engine.parties), None) or []

    def gather(
        self, tensor: torch.Tensor, dst: int, async_op: bool = False
    ) -> list[torch.Tensor] | None:
        """The plain tensors of all parties at dst, None elsewhere."""
        self._check(async_op, dst)
        return self._opened(tensor, range(self._engine.parties), dst)

    def all_reduce(self, tensor: Any, op: Any = None, async_op: bool = False) -> Any:
        """The sum of the parties' plain tensors (integers mod 2^64), which all parties see."""
        _check_sum(op)
        if isinstance(tensor, (list, tuple)):
            return [self.all_reduce(one, op, async_op) for one in tensor]
        return _sum(self.all_gather(tensor, async_op))

    def reduce(self, tensor: Any, dst: int, op: Any = None, async_op: bool = False) -> Any:
        """The sum of the parties' plain tensors at dst, which sees all of them; None elsewhere."""
        _check_sum(op)
        if isinstance(tensor, (list, tuple)):
            return [self.reduce(one, dst, op, async_op) for one in tensor]
        gathered = self.gather(tensor, dst, async_op)
        return None if gathered is None else _sum(gathered)

    def scatter(
        self,
        scatter_list: Sequence[torch.Tensor] | None,
        src: int,
        size: Any = None,
        async_op: bool = False,
    ) -> torch.Tensor:
        """One plain tensor of `src` to each party, which alone sees it; all of one shape."""
        self._check(async_op, src)
        rows = list(scatter_list) if self._engine.rank == src and scatter_list else []
        like: dict[str, Any] = {"count": len(rows)}
        if len({(row.shape, row.dtype) for row in rows}) == 1:
            like |= {"shape": list(rows[0].shape), "dtype": str(rows[0].dtype).split(".")[1]}
        like = self.broadcast_obj(like, src)
        parties = self._engine.parties
        if like["count"] != parties or "shape" not in like:
            raise ConfigError(
                f"scatter_list has {like['count']} tensors; it must be {parties} of one shape and "
                "dtype"
            )
        rows = rows or [torch.empty(like["shape"], dtype=getattr(torch, like["dtype"]))] * parties
        opened: Any = [self._opened(row, [src], rank) for rank, row in enumerate(rows)]
        own: torch.Tensor = opened[self._engine.rank][0]
        return own

    def broadcast_obj(self, obj: Any, src: int) -> Any:
        """An object of `src` that JSON can write, at every party; no peer's bytes are unpickled.

        Raises, at every party, UnsupportedOperation for any other object.
        """
        self._check(False, src)
        mine, text = self._engine.rank == src, b""
        if mine:
            try:
                text = json.dumps(obj).encode()
            except (TypeError, ValueError):
                text = b""
        length = self.broadcast(torch.tensor([len(text)]), src).item()
        if length == 0:
            raise UnsupportedOperation(
                f"broadcast_obj: the object of party {src} is not one that JSON can write, and "
                "bytes of a peer are never unpickled"
            )
        buffer = torch.tensor(list(text) if mine else [0] * length, dtype=torch.uint8)
        return json.loads(bytes(self.broadcast(buffer, src).tolist()))

    send = refused("send")
    recv = refused("recv")
    isend = refused("isend")
    irecv = refused("irecv")
    send_obj = refused("send_obj")
    recv_obj = refused("recv_obj")

    def _check(self, async_op: bool, *ranks: int) -> None:
        if async_op:
            raise ConfigError("async_op is True; it must be False: calls return when they are done")
        for rank in ranks:
            check_source(self._engine, rank)

    def _opened(
        self, tensor: torch.Tensor, sources: Sequence[int], dst: int | None
    ) -> list[torch.Tensor] | None:
        """The tensors of the sources at dst (None: everywhere), to the last bit."""
        if not isinstance(tensor, torch.Tensor) or type(tensor) is not torch.Tensor:
            raise ConfigError(f"tensor is of type {type(tensor).__name__}; it must be a plain one")
        engine, words = self._engine, _words(tensor)
        given = [
            engine.input(words if engine.rank == src else list(words.shape), src) for src in sources
        ]
        opened = engine.reveal(engine.combine(given, torch.stack), dst)
        return None if opened is None else [_tensor(row, tensor) for row in opened]


# Threads or processes: the session knows.
DistributedCommunicator = InProcessCommunicator = Communicator


def _words(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor as integers of 32 bits."""
    content = tensor.detach().contiguous().flatten().view(torch.uint8)
    padded = torch.zeros(-(-content.numel() // _WORD_BYTES) * _WORD_BYTES, dtype=torch.uint8)
    padded[: content.numel()] = content
    return padded.view(torch.int32).to(torch.int64)


def _tensor(words: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    content = words.round().to(torch.int64).to(torch.int32).view(torch.uint8)
    size = like.numel() * like.element_size()
    return content[:size].clone().view(like.dtype).reshape(like.shape)


def _sum(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(tensors).sum(0, dtype=tensors[0].dtype)


def _check_sum(op: Any) -> None:
    if op is not None and "SUM" not in str(op).upper():
        raise ConfigError(f"op is {op}; it must be None or SUM")
