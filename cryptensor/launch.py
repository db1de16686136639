# SPDX-License-Identifier: MIT
"""Runs a function at all parties on this machine: in processes, or in threads."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable
from typing import Any

from . import _C, rendezvous, seeding, session
from .address import parse_address
from .config import Settings, chosen_transport, party_count
from .errors import ConfigError, SecretLeakError
from .failure import Failure, remote_error
from .pickling import dumps
from .processes import PartyProcess, Progress, stop, watch


def launch(
    fn: Callable[..., Any],
    *args: Any,
    parties: int | None = None,
    workers: int = 1,
    engine: str = "additive",
    provider: str = "third_party",
    timeout: float = 30.0,
    precision: int = 16,
    truncation: str = "default",
    checked: bool = False,
    network: str = "lan",
    threads: int = 1,
    insecure_ok: bool = False,
    setup_timeout: float = 10.0,
    certificates: str | None = None,
    transport: str = "auto",
    dealer: str | None = None,
    store: str | os.PathLike[str] | None = None,
    on_progress: Progress | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Calls fn(*args, **kwargs) in one process per party and returns the results by party.

    There are two parties unless `parties` says otherwise, and three with engine="replicated".
    The processes are fresh interpreters that talk through shared memory; the third-party dealer is
    one process more. transport="gloo" (or CRYPTENSOR_TRANSPORT) uses the loopback interface
    instead. fn, its arguments and its results may be anything that cloudpickle takes, closures
    included. `on_progress(party, message)` is called here for every `progress(message)` there. With
    `certificates`, a folder of make_certificates(), the processes talk over encrypted links, as
    they would between hosts. `dealer` is HOST:PORT of a dealer that stands on this machine
    (`cryptensor dealer`); then none is started. With more than one of `workers` there are as
    many processes of each party, fn finds its place by ct.mesh(), and the result of a party is the
    list of its workers' results. With provider="stored", `store` is the folder of
    `cryptensor deal` (see trace()), and no process deals. engine="replicated" is three parties
    without a dealer, of which no two may put together what they have.

    Raises ConfigError for a bad setting or what cannot be pickled, and RemoteError when a party
    raises or dies: its `party`, `kind`, `message` and `remote_traceback` tell of the first cause,
    `failures` of all. All processes have ended when launch returns or raises, Ctrl-C included.
    """
    settings = Settings(
        parties=party_count(parties, engine),
        engine=engine,
        workers=workers,
        provider=provider,
        timeout=timeout,
        precision=precision,
        truncation=truncation,
        checked=checked,
        network=network,
        threads=threads,
        insecure_ok=insecure_ok,
        setup_timeout=setup_timeout,
        certificates=certificates,
        dealer=dealer,
        store=None if store is None else os.fspath(store),
        seed=seeding.current(),
        transport=chosen_transport(transport, certificates),
    )
    _check_dealer(dealer)
    _check_progress(on_progress)
    work = memory_file(_pickled(fn, args, kwargs))
    processes: list[PartyProcess] = []
    try:
        meeting_store = rendezvous.serve_loopback_store()
        for rank in range(settings.processes if dealer is None else settings.parties):
            processes.append(PartyProcess(rank, settings, meeting_store.port, work))
        failures = watch(processes, on_progress)
        computing = [process for process in processes if not process.is_dealer]
        # A dealer that fails after the last result has nothing left to spoil.
        if failures and not all(party.done for party in computing):
            raise remote_error(failures)
        results = [process.result() for process in computing]
        if workers == 1:
            return results
        return [results[first : first + workers] for first in range(0, len(results), workers)]
    finally:
        stop(processes)
        os.close(work)


def simulate(
    fn: Callable[..., Any],
    *args: Any,
    parties: int | None = None,
    engine: str = "additive",
    provider: str = "third_party",
    timeout: float = 30.0,
    precision: int = 16,
    truncation: str = "default",
    checked: bool = False,
    network: str = "lan",
    store: str | os.PathLike[str] | None = None,
    on_progress: Progress | None = None,
    **kwargs: Any,
) -> list[Any]:
    """The same as `launch` in threads of this process: for notebooks, tests and debuggers.

    Every party gets a deep copy of the arguments. The threads share torch's settings.
    """
    settings = Settings(
        parties=party_count(parties, engine),
        engine=engine,
        provider=provider,
        timeout=timeout,
        precision=precision,
        truncation=truncation,
        checked=checked,
        network=network,
        store=None if store is None else os.fspath(store),
        seed=seeding.current(),
    )
    return in_threads(settings, fn, args, kwargs, on_progress)


def in_threads(
    settings: Settings,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    on_progress: Progress | None = None,
) -> list[Any]:
    """`simulate` with settings that are made already."""
    _check_callable(fn)
    _check_progress(on_progress)
    copies = [_copied(args, kwargs) for _ in range(settings.parties)]
    run = _Simulation(settings, on_progress)
    return run(fn, copies)


def progress(message: object) -> None:
    """Sends a small message to the `on_progress` of whoever started the parties, if anyone."""
    session.current().report(message)


class _Simulation:
    """The threads of one `simulate`, with the hub that connects them."""

    def __init__(self, settings: Settings, on_progress: Progress | None) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._hub = _C.MemoryHub(settings.ranks)
        self._results: list[Any] = [None] * settings.parties
        self._failures: list[Failure] = []
        self._lock = threading.Lock()

    def __call__(
        self, fn: Callable[..., Any], copies: list[tuple[tuple[Any, ...], dict[str, Any]]]
    ) -> list[Any]:
        work: list[Any] = [(rank, fn, *copies[rank]) for rank in range(self._settings.parties)]
        work += [(rank, None, (), {}) for rank in range(len(work), self._settings.ranks)]
        threads = [
            threading.Thread(target=self._party, args=item, name=f"party {item[0]}", daemon=True)
            for item in work
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            for rank in range(self._settings.ranks):
                self._hub.abort(rank)
            raise
        if any(failure.party < self._settings.parties for failure in self._failures):
            raise remote_error(self._failures)
        return self._results

    def _party(
        self,
        rank: int,
        fn: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        try:
            opened = session.open_session(self._hub.transport(rank), rank, self._settings)
            if opened is None or fn is None:
                return
            opened.report = lambda message: self._report(rank, message)
            self._results[rank] = fn(*args, **kwargs)
            session.shutdown()
        except BaseException as error:
            name = f"party {rank}" if fn is not None else f"the dealer (rank {rank})"
            with self._lock:
                self._failures.append(Failure.of_exception(rank, name, error))
            self._hub.abort(rank)

    def _report(self, rank: int, message: object) -> None:
        if self._on_progress is not None:
            with self._lock:
                self._on_progress(rank, message)


def _pickled(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    _check_callable(fn)
    named = {"fn": fn, **{f"argument {i}": arg for i, arg in enumerate(args)}, **kwargs}
    try:
        return dumps((fn, args, kwargs))
    except (ImportError, SecretLeakError):
        raise
    except Exception as error:
        culprit = next((name for name, value in named.items() if not _takes(value)), "fn")
        raise ConfigError(
            f"{culprit} cannot be sent to the parties: it must be something that cloudpickle takes "
            f"({type(error).__name__}: {error})"
        ) from error


def _takes(value: object) -> bool:
    try:
        dumps(value)
    except Exception:
        return False
    return True


def _copied(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        return copy.deepcopy((args, kwargs))
    except SecretLeakError:
        raise
    except Exception as error:
        raise ConfigError(
            "the arguments cannot be given to the parties: each must be something that "
            f"copy.deepcopy takes ({type(error).__name__}: {error})"
        ) from error


def _check_callable(fn: object) -> None:
    if not callable(fn):
        raise ConfigError(f"fn is {fn!r}; it must be a function that every party calls")


def _check_progress(on_progress: object) -> None:
    if on_progress is not None and not callable(on_progress):
        raise ConfigError(f"on_progress is {on_progress!r}; it must be None or callable")


def _check_dealer(dealer: str | None) -> None:
    if dealer is not None and not rendezvous.is_loopback(parse_address("dealer", dealer)[0]):
        raise ConfigError(
            f"dealer is {dealer!r}; for launch, whose parties meet on the loopback interface, it "
            "must be at a loopback address such as 127.0.0.1:PORT"
        )


def memory_file(content: bytes) -> int:
    """A file that only this process and those that it starts can open; the caller closes it."""
    descriptor = os.memfd_create("cryptensor-work")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    return descriptor
