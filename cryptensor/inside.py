# SPDX-License-Identifier: MIT
"""What the workers of one party say to each other, in the clear and to nobody else."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist

from . import rendezvous
from .config import Settings
from .errors import ConfigError, PeerLost, PeerTimeout, SetupError, ShapeError
from .tensor import CrypTensor

_DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
_MAX_DIMENSIONS = 8
_DIGEST_BYTES = 32


def meet(
    store: dist.Store,
    meeting: rendezvous.Meeting,
    party: int,
    worker: int,
    settings: Settings,
    party_store: str | None,
) -> tuple[rendezvous.Meeting, dist.Store | None]:
    """Where the workers of a party meet, and what has to live as long as they do.

    That is an address of the party's own, never the store of all parties, where another party could
    write the address of a foreign worker. By default it is the loopback interface, and the common
    store tells the port only.
    """
    own = replace(meeting, rank=worker, size=settings.workers, hosts_store=worker == 0)
    if party_store is not None:
        host, _, port = party_store.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ConfigError(
                f"party_store is {party_store!r}; it must be 'host:port' of this party's worker 0"
            )
        loopback = rendezvous.is_loopback(host)
        return replace(own, host=host, port=int(port), loopback=loopback), None
    key = f"party/{party}/port"
    served = rendezvous.serve_loopback_store() if worker == 0 else None
    if served is not None:
        store.set(key, str(served.port))
    found = served.port if served else _port_from(store, key, settings.setup_timeout)
    home = replace(own, host=rendezvous.LOOPBACK, port=found, loopback=True, hosts_store=False)
    return home, served


def connect(meeting: rendezvous.Meeting, settings: Settings) -> dist.ProcessGroup:
    """The default process group of this process: the workers of its party."""
    try:
        store = rendezvous.open_store(meeting, settings.setup_timeout)
    except SetupError as error:
        raise SetupError(
            f"worker {meeting.rank} does not reach worker 0 of its own party ({error}); workers on "
            "several hosts need party_store"
        ) from error
    with _interface("lo" if meeting.loopback else None):
        try:
            dist.init_process_group(
                "gloo",
                store=store,
                rank=meeting.rank,
                world_size=meeting.size,
                timeout=timedelta(seconds=settings.timeout),
            )
        except RuntimeError as error:
            raise SetupError(
                f"worker {meeting.rank} could not connect to the {meeting.size} workers of its own "
                f"party within {settings.setup_timeout:g} s"
            ) from error
    group = dist.group.WORLD
    assert group is not None
    return group


def leave_together(store: dist.Store, meeting: rendezvous.Meeting, settings: Settings) -> None:
    """Rank 0 may serve the common store: it stays until every group has met."""
    store.set(f"joined/{meeting.rank}", "")
    if meeting.hosts_store:
        ranks = range(settings.parties * settings.workers)
        # A rank that dies here is noticed, and named, by its own group.
        with contextlib.suppress(RuntimeError):
            store.wait([f"joined/{r}" for r in ranks], timedelta(seconds=settings.setup_timeout))


def plain_tensors(value: object) -> dict[str, torch.Tensor]:
    """The tensors of a module, or a tensor itself, by name."""
    if isinstance(value, torch.nn.Module):
        tensors = {**dict(value.named_parameters()), **dict(value.named_buffers())}
    elif isinstance(value, torch.Tensor):
        tensors = {"value": value}
    else:
        raise ConfigError(
            f"value is of type {type(value).__name__}; it must be a tensor or a torch.nn.Module"
        )
    for name, tensor in tensors.items():
        _refuse_secret(name, tensor)
    return tensors


def check_rows(rows: object) -> None:
    """ConfigError unless the rows are what gather() can take."""
    if rows is None:
        return
    if not isinstance(rows, torch.Tensor):
        raise ConfigError(f"rows is of type {type(rows).__name__}; it must be a tensor, or None")
    _refuse_secret("rows", rows)
    if not 0 < rows.dim() <= _MAX_DIMENSIONS or rows.dtype not in _DTYPES:
        raise ConfigError(
            f"rows is a {rows.dtype} tensor of {rows.dim()} dimensions; it must be a real one of 1 "
            f"to {_MAX_DIMENSIONS} dimensions"
        )


def broadcast(tensors: dict[str, torch.Tensor], group: dist.ProcessGroup) -> None:
    """Worker 0's values, in place, where the tensors are named and shaped alike at all workers."""
    _agree(tensors, group)
    for tensor in tensors.values():
        if tensor.numel():
            values = tensor.detach().contiguous()
            dist.broadcast(values, group=group, group_src=0)
            with torch.no_grad():
                tensor.copy_(values)


def gather(rows: torch.Tensor | None, group: dist.ProcessGroup) -> torch.Tensor | None:
    """The rows of all workers at worker 0, whose shapes are compared before a row is sent."""
    headers = [torch.empty(_MAX_DIMENSIONS + 2, dtype=torch.int64) for _ in range(group.size())]
    dist.all_gather(headers, _header(rows), group=group)
    outlines = [header.tolist() for header in headers]
    if all(outline[0] < 0 for outline in outlines):
        return None
    if len({(*outline[:2], *outline[3:]) for outline in outlines}) > 1:
        raise ShapeError(
            "the workers of this party gather different things: "
            + ", ".join(f"worker {w} {_outlined(o)}" for w, o in enumerate(outlines))
        )
    assert rows is not None
    if group.rank() != 0:
        if rows.numel():
            dist.send(rows.detach().contiguous(), group=group, group_dst=0)
        return None
    pieces = [rows.detach()]
    for worker, outline in enumerate(outlines[1:], start=1):
        piece = torch.empty((outline[2], *rows.shape[1:]), dtype=rows.dtype)
        if piece.numel():
            dist.recv(piece, group=group, group_src=worker)
        pieces.append(piece)
    return torch.cat(pieces)


@contextlib.contextmanager
def named_failures(seconds: float) -> Iterator[None]:
    """PeerLost or PeerTimeout for what torch.distributed only calls a RuntimeError."""
    start = time.monotonic()
    try:
        yield
    except (ConfigError, ShapeError):
        raise
    except RuntimeError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if time.monotonic() - start >= seconds:
            raise PeerTimeout(
                f"a worker of this party did not answer within {seconds:g} s; look at its log "
                f"({reason})"
            ) from error
        raise PeerLost(
            f"a worker of this party is gone; look at its log and start all again ({reason})"
        ) from error


def _agree(tensors: dict[str, torch.Tensor], group: dist.ProcessGroup) -> None:
    # Gloo leaves stale bytes behind a shorter message and ends the process at a longer one.
    outline = repr([(name, tuple(t.shape), str(t.dtype)) for name, t in tensors.items()])
    mine = torch.frombuffer(bytearray(hashlib.sha256(outline.encode()).digest()), dtype=torch.uint8)
    digests = [torch.empty(_DIGEST_BYTES, dtype=torch.uint8) for _ in range(group.size())]
    dist.all_gather(digests, mine, group=group)
    differ = [w for w, digest in enumerate(digests) if not torch.equal(digest, digests[0])]
    if differ:
        raise ShapeError(
            f"worker {differ[0]} of this party has other tensors than worker 0; names, shapes and "
            "types must be equal at all workers"
        )


def _header(rows: torch.Tensor | None) -> torch.Tensor:
    header = torch.full((_MAX_DIMENSIONS + 2,), -1, dtype=torch.int64)
    if rows is not None:
        header[0], header[1] = _DTYPES.index(rows.dtype), rows.dim()
        header[2 : 2 + rows.dim()] = torch.tensor(rows.shape)
    return header


def _outlined(outline: list[int]) -> str:
    if outline[0] < 0:
        return "nothing"
    return f"a {_DTYPES[outline[0]]} tensor of shape {tuple(outline[2 : 2 + outline[1]])}"


def _refuse_secret(name: str, tensor: torch.Tensor) -> None:
    if isinstance(tensor, CrypTensor):
        raise ConfigError(
            f"{name} is a secret tensor of one group of workers, and its shares mean nothing in "
            "another; it must be plain: broadcast before ct.encrypt, gather after reveal"
        )


def _port_from(store: dist.Store, key: str, seconds: float) -> int:
    try:
        store.wait([key], timedelta(seconds=seconds))
        text = store.get(key).decode()
    except RuntimeError as error:
        raise SetupError(
            f"worker 0 of this party did not open its store in {seconds:g} s"
        ) from error
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise SetupError("the common store holds no port for the workers of this party")
    return int(text)


@contextlib.contextmanager
def _interface(name: str | None) -> Iterator[None]:
    """Gloo's interface for a moment: the default process group takes no option for it."""
    before = os.environ.get("GLOO_SOCKET_IFNAME")
    try:
        if name is not None:
            os.environ["GLOO_SOCKET_IFNAME"] = name
        yield
    finally:
        if before is None:
            os.environ.pop("GLOO_SOCKET_IFNAME", None)
        else:
            os.environ["GLOO_SOCKET_IFNAME"] = before
