# SPDX-License-Identifier: MIT
"""The session of a thread: which engine its secret tensors compute on.

A party is a thread or a process. Each thread has its own stack of sessions, so that simulated
parties of one process never see each other's engine.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.distributed import Store

from . import _C, links, local_links, presets, rendezvous, seeding, standing_dealer
from .config import REPLICATED, Settings, chosen_transport
from .errors import ConfigError, Error
from .openings import Openings


@dataclass(eq=False, slots=True)
class Session:
    """An engine, the settings that it was made with, and what has to live as long.

    `report` takes progress messages on their way to whoever started the parties, and `receive`
    waits for a message from there; `openings` sees every reveal before it happens. `mesh` is the
    place of this process among several workers.
    `trace` has the frames of a seeded session, which is a test.
    """

    engine: _C.Engine
    config: Settings
    report: Callable[[object], None] = field(default=lambda message: None, repr=False)
    receive: Callable[[], object] = field(default=lambda: None, repr=False)
    keep: tuple[Any, ...] = field(default=(), repr=False)
    openings: Openings = field(default_factory=Openings, repr=False)
    trace: _C.TraceTransport | None = field(default=None, repr=False)
    mesh: Any = field(default=None, repr=False)


class _Stack(threading.local):
    def __init__(self) -> None:
        self.sessions: list[Session] = []


_stack = _Stack()
_dealer_served = False


def current() -> Session:
    """The innermost session of this thread. Raises Error when there is none."""
    try:
        return _stack.sessions[-1]
    except IndexError:
        raise Error(
            "no session in this thread: run the function with ct.launch(fn, ...) or "
            "ct.simulate(fn, ...), or call ct.init() in a program that torchrun started"
        ) from None


def is_active() -> bool:
    """True when this thread has a session."""
    return bool(_stack.sessions)


def push(session: Session) -> Session:
    """Makes a session the current one of this thread."""
    _stack.sessions.append(session)
    return session


def pop() -> Session:
    """Takes the current session off this thread's stack without closing it."""
    session = current()
    _stack.sessions.pop()
    return session


@presets.completed
def init(
    *,
    engine: str = "additive",
    provider: str = "third_party",
    timeout: float = 30.0,
    precision: int = 16,
    truncation: str = "default",
    checked: bool = False,
    network: str = "lan",
    threads: int | None = None,
    insecure_ok: bool = False,
    setup_timeout: float = 60.0,
    certificates: str | None = None,
    transport: str = "auto",
    dealer: str | None = None,
    store: str | os.PathLike[str] | None = None,
) -> None:
    """Starts a session in a program that torchrun or `cryptensor party` started, once per process.

    Between hosts the links are encrypted: `certificates` (or CRYPTENSOR_CERTIFICATES) is the folder
    with this rank's certificate and key and the authority's certificate, see make_certificates().
    Without it the links to other hosts are refused, unless insecure_ok is True. Ranks that are all
    of one user on one host share memory, others talk over TCP; `transport`, "shared_memory" or
    "gloo", demands one of the two, and so does CRYPTENSOR_TRANSPORT where that is "auto".

    `dealer` (or CRYPTENSOR_DEALER) is HOST:PORT of a standing dealer (`cryptensor dealer`). Every
    rank is a party then, and a program may have many sessions, one after the other. Raises
    SetupError at rank 0 when that dealer does not answer or refuses.

    With the third-party provider and no such dealer the last rank becomes the dealer: there
    init() serves until the parties said goodbye and then ends the program (SystemExit 0), so that
    one program has one such session. Raises SetupError naming the ranks that did not come within
    `setup_timeout` seconds.

    With the provider "stored" there is no dealer's rank: `store` (or CRYPTENSOR_STORE) is this
    party's file of `cryptensor deal`, or the folder that holds it as party<rank>.store. The session
    uses up a lot of it; see trace().

    With engine="replicated" there are three ranks, all of them parties, and no dealer.
    """
    global _dealer_served
    if is_active():
        raise ConfigError("init() was called before and its session is open: call shutdown() first")
    dealt = provider == "third_party" and engine != REPLICATED
    if dealer is None and dealt:
        dealer = os.environ.get("CRYPTENSOR_DEALER") or None
    if _dealer_served and dealt and dealer is None:
        raise ConfigError(
            "provider is 'third_party' in a second init() of one program, whose dealer ended with "
            "the first session; it must be one session, or 'first_party'"
        )
    meeting = rendezvous.from_environment()
    certificates = certificates or os.environ.get("CRYPTENSOR_CERTIFICATES")
    all_parties = dealer is not None or engine == REPLICATED
    settings = Settings(
        parties=meeting.size if all_parties else _party_count(provider, meeting.size),
        engine=engine,
        provider=provider,
        timeout=timeout,
        precision=precision,
        truncation=truncation,
        checked=checked,
        network=network,
        threads=torch.get_num_threads() if threads is None else threads,
        insecure_ok=insecure_ok,
        setup_timeout=setup_timeout,
        certificates=certificates,
        dealer=dealer,
        store=_store_of(store, provider),
        seed=seeding.current(),
        transport=chosen_transport(transport, certificates),
    )
    if dealer is not None:
        meeting = standing_dealer.expected(meeting, settings)
    refuse_insecure(settings, meeting.loopback)
    if threads is not None:
        torch.set_num_threads(threads)
    meeting_store = rendezvous.open_store(meeting, settings.setup_timeout)
    if join(meeting_store, meeting, settings) is None:
        raise SystemExit(0)
    _dealer_served = dealt and dealer is None


def join(store: Store, meeting: rendezvous.Meeting, settings: Settings) -> Session | None:
    """Meets the other ranks and opens a session; at the dealer, serves and returns None."""
    if settings.dealer is not None and meeting.rank == 0:
        standing_dealer.announce(meeting, settings)
    transport, keep = connect(store, meeting, settings)
    return open_session(transport, meeting.rank, settings, keep)


def connect(
    store: Store, meeting: rendezvous.Meeting, settings: Settings
) -> tuple[_C.Transport, tuple[Any, ...]]:
    """Meets the other ranks: a transport, and what has to live as long."""
    seconds = settings.setup_timeout
    hosts = rendezvous.roll_call(store, meeting, settings, seconds, local_links.host_of(meeting))
    if settings.certificates is not None:
        return links.connect(store, meeting, settings, seconds), (store,)
    if local_links.are_chosen(settings, hosts):
        return local_links.connect(store, meeting, seconds), (store,)
    backend = rendezvous.connect_gloo(store, meeting, seconds)
    return _C.gloo_transport(backend), (backend, store)


def open_session(
    transport: _C.Transport, rank: int, settings: Settings, keep: tuple[Any, ...] = ()
) -> Session | None:
    """Opens a session over a transport; at the dealer's rank, serves and returns None."""
    trace = None
    if settings.seed is None:
        _C.seed_thread(None)  # an earlier session of this thread may have been seeded
    else:
        trace = transport = _C.trace_transport(transport)
        seeding.seed_thread(settings.seed, rank)
    if rank == settings.parties:
        _C.serve_dealer(transport, settings.parties, settings.timeout)
        return None
    engine = _C.make_engine(
        transport,
        parties=settings.parties,
        provider=settings.provider,
        precision=settings.precision,
        truncation=settings.truncation,
        checked=settings.checked,
        few_rounds=settings.network == "wan",
        timeout=settings.timeout,
        store=store_file(settings.store, rank) if settings.store else "",
        records=settings.records,
        engine=settings.engine,
    )
    opened = Session(engine, settings, keep=keep, trace=trace)
    engine.guard_reveals(opened.openings)
    return push(opened)


def store_file(store: str, rank: int) -> str:
    """The file of one party in the folder of a store, or the file itself."""
    return os.path.join(store, f"party{rank}.store") if os.path.isdir(store) else store


def refuse_insecure(settings: Settings, loopback: bool) -> None:
    """Raises ConfigError for what is for one host only and would be met by others.

    That is a first-party provider, plain links, and seeded randomness.
    """
    if settings.seed is not None and not loopback:
        raise ConfigError("seed is given between hosts; ct.seeded() is for tests on one host")
    if loopback or settings.insecure_ok:
        return
    if settings.provider == "first_party":
        raise ConfigError(
            "provider is 'first_party' between hosts, where every party could read every "
            "secret; it must be 'third_party', or insecure_ok must be True, or all ranks on one "
            "host"
        )
    if settings.certificates is None:
        raise ConfigError(
            "certificates is None between hosts, where everybody on the way could read and alter "
            "what the parties send; it must be a folder made by ct.make_certificates(), or "
            "insecure_ok must be True for a network that all parties trust"
        )


def shutdown() -> None:
    """Ends the current session: says goodbye to the dealer and closes the connections."""
    closed = pop()
    closed.engine.shutdown()
    if closed.mesh is not None:
        closed.mesh.close()


def abandon() -> None:
    """Breaks off every session of this thread, so that the peers get PeerLost at once."""
    while is_active():
        pop().engine.abort()


def rank() -> int:
    """The number of this party, from 0."""
    return current().engine.rank


def world_size() -> int:
    """How many parties compute. The dealer is not counted."""
    return current().engine.parties


def _store_of(store: str | os.PathLike[str] | None, provider: str) -> str | None:
    if store is None and provider == "stored":
        return os.environ.get("CRYPTENSOR_STORE")
    return None if store is None else os.fspath(store)


def _party_count(provider: str, size: int) -> int:
    parties = size - 1 if provider == "third_party" else size
    if parties < 2:
        raise ConfigError(
            f"WORLD_SIZE is {size} with provider {provider!r}; it must be at least 3: two parties "
            "and the dealer, which is the last rank"
        )
    return parties
