# SPDX-License-Identifier: MIT
"""How the ranks of a session find each other: a store, a roll call, a Gloo backend.

Everything here happens before the first secret exists. The default process group of
torch.distributed is neither used nor changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import itertools
import json
import os
import socket
import struct
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from torch.distributed import PrefixStore, ProcessGroupGloo, Store, TCPStore

from .config import Settings
from .deadline import within
from .errors import ConfigError, SetupError

LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02
_SIOCGIFADDR = 0x8915
_READ_TIMEOUT = timedelta(seconds=5)
# For what still has to be asked when the time is over.
_LEAST_SECONDS = 0.5
_meetings = itertools.count()
_latest_served: dict[str, Any] = {}  # of this process: the store, and its address


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where a rank meets the others."""

    rank: int
    size: int
    host: str
    port: int
    hosts_store: bool
    loopback: bool
    run: str = "0"
    name: str | None = None  # of the keys in the store; None: the next one of this process

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def from_environment() -> Meeting:
    """Reads the variables that torchrun sets. Raises ConfigError naming a missing or bad one."""
    size = _integer_variable("WORLD_SIZE", 2, 65_535)
    rank = _integer_variable("RANK", 0, size - 1)
    host = _variable("MASTER_ADDR", "the address of rank 0")
    port = _integer_variable("MASTER_PORT", 1, 65_535)
    # torchrun's own agent may already serve a store at that port; then no rank does.
    agent_serves = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    one_host = os.environ.get("LOCAL_WORLD_SIZE") == str(size)
    return Meeting(
        rank=rank,
        size=size,
        host=host,
        port=port,
        hosts_store=rank == 0 and not agent_serves,
        loopback=one_host or _meets_at_home(host),
        run=os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def is_loopback(host: str) -> bool:
    """True when every address of the host is a loopback address."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    named = [str(address).partition("%")[0] for address in found]
    return bool(named) and all(ipaddress.ip_address(name).is_loopback for name in named)


def serve_loopback_store() -> TCPStore:
    """A store on a free port of the loopback interface. Listens nowhere else."""
    with socket.create_server((LOOPBACK, 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        # TCPStore would listen on all interfaces; a socket of ours keeps it at home.
        return _served_store(LOOPBACK, port, timedelta(seconds=30), listener.detach())


def open_store(meeting: Meeting, seconds: float) -> Store:
    """Connects to the store of a meeting, or serves it. Raises SetupError after `seconds`."""
    timeout = timedelta(seconds=seconds)
    if meeting.hosts_store:
        store = _serve(meeting, timeout)
    else:
        store = _reach_store(meeting, seconds)
    return PrefixStore(meeting.name or next_name(meeting), store)


def next_name(meeting: Meeting) -> str:
    """A later init() of the same processes must not meet the keys of an earlier one."""
    return f"cryptensor/{meeting.run}/{next(_meetings)}"


def _reach_store(meeting: Meeting, seconds: float) -> TCPStore:
    start = time.monotonic()
    _wait_for_port(meeting, seconds)
    left = max(seconds - (time.monotonic() - start), _LEAST_SECONDS)
    timeout = timedelta(seconds=left)
    try:
        # Whoever accepts and never answers keeps TCPStore for longer than its timeout.
        return within(
            left,
            lambda: TCPStore(
                meeting.host, meeting.port, None, False, timeout, wait_for_workers=False
            ),
        )
    except (RuntimeError, TimeoutError) as error:
        cause = "no answer" if isinstance(error, TimeoutError) else _first_line(error)
        raise SetupError(
            f"rank {meeting.rank}: {meeting.address} answers, but not as a store of "
            f"torch.distributed; rank 0 did not come within {seconds:g} s; check MASTER_PORT "
            f"({cause})"
        ) from error


def roll_call(
    store: Store, meeting: Meeting, settings: Settings, seconds: float, host: str | None = None
) -> list[str | None]:
    """Returns when every rank came with the same settings: the `host` of each.

    Raises SetupError naming the ranks that did not come within `seconds`, or at once where this
    rank has come to this meeting before, and ConfigError naming the first setting that differs.
    """
    mine = json.dumps({**settings.agreement(), "host": host})
    missing = set(range(meeting.size)) - {meeting.rank}
    start = time.monotonic()
    try:
        if store.add(f"entered/{meeting.rank}", 1) != 1:
            raise SetupError(_twice(meeting))
        store.set(f"came/{meeting.rank}", mine)
        while missing:
            missing = {r for r in missing if not store.check([f"came/{r}"])}
            if missing and time.monotonic() - start > seconds:
                raise SetupError(_absent(meeting, missing, seconds))
            if missing:
                time.sleep(_POLL_SECONDS)
        records = [json.loads(store.get(f"came/{r}")) for r in range(meeting.size)]
        _leave_together(store, meeting)
    except SetupError:
        raise
    except RuntimeError as error:
        # Rank 0 gave up a moment before this rank and took the store with it.
        raise SetupError(_absent(meeting, missing, time.monotonic() - start)) from error
    for rank, record in enumerate(records):
        _check_agreement(settings, record, meeting.rank, rank)
    return [record.get("host") for record in records]


def connect_gloo(store: Store, meeting: Meeting, seconds: float) -> ProcessGroupGloo:
    """A Gloo backend of our own over the ranks of the meeting.

    Raises SetupError after `seconds`, naming the ranks that are gone as far as that can be told.
    """
    before = _own_threads()  # the device has a thread of its own
    options: Any = ProcessGroupGloo._Options()  # type: ignore[attr-defined]
    options._devices = [_gloo_device(meeting)]
    options._timeout = timedelta(seconds=seconds)

    def connect() -> ProcessGroupGloo:
        store.set(f"connects/{meeting.rank}", "")
        group = ProcessGroupGloo(PrefixStore("gloo", store), meeting.rank, meeting.size, options)
        _stand_back(_own_threads() - before)
        return group

    try:
        # Gloo tries again to reach a rank that is gone, each time for the whole timeout.
        return within(seconds, connect)
    except (RuntimeError, TimeoutError) as error:
        cause = "no answer" if isinstance(error, TimeoutError) else _first_line(error)
        raise SetupError(
            f"rank {meeting.rank}: all {meeting.size} ranks came, but Gloo could not connect them "
            f"within {seconds:g} s ({_gone(store, meeting)}{cause}); check firewalls and "
            "GLOO_SOCKET_IFNAME"
        ) from error


def _gone(store: Store, meeting: Meeting) -> str:
    """Which ranks did not begin to connect, for an error's text; empty where none is known."""

    def silent() -> list[int]:
        return [r for r in range(meeting.size) if not store.check([f"connects/{r}"])]

    try:
        ranks = within(_LEAST_SECONDS, silent)
    except (RuntimeError, TimeoutError):
        return "rank 0 has left with the store; " if meeting.rank else ""
    names = ", ".join(map(str, ranks))
    return f"nothing came from rank {names} any more; " if ranks else ""


def listen(meeting: Meeting) -> socket.socket:
    """A listening socket at an address that the other ranks reach, and a free port.

    CRYPTENSOR_PORT chooses the port, for firewalls. Raises SetupError when it is taken.
    """
    host = LOOPBACK if meeting.loopback else _own_address(meeting)
    port = _integer_variable("CRYPTENSOR_PORT", 1, 65_535) if "CRYPTENSOR_PORT" in os.environ else 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise SetupError(
            f"rank {meeting.rank} cannot listen at {host}:{port}: {error}; choose another "
            "CRYPTENSOR_PORT, or end the program that holds it"
        ) from error


def _own_threads() -> set[int]:
    try:
        return {int(name) for name in os.listdir("/proc/self/task")}
    except OSError:
        return set()


def _stand_back(threads: set[int]) -> None:
    """Keeps Gloo's threads from interrupting a thread of ours in the middle of a send.

    The sender holds a lock that they spin for: on two cores such rounds took a whole 4 ms tick.
    """
    for thread in threads:
        # A system may forbid it, or a thread may be gone: rounds are slower then, nothing else.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _gloo_device(meeting: Meeting) -> Any:
    if meeting.loopback:
        return ProcessGroupGloo.create_device(hostname=LOOPBACK)
    if interface := _interface():
        return ProcessGroupGloo.create_device(interface=interface)
    return ProcessGroupGloo.create_device(hostname=_own_address(meeting))


def _own_address(meeting: Meeting) -> str:
    """The chosen interface's address, or the one from which the meeting's host is reached."""
    if interface := _interface():
        return _address_of(interface)
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            meeting.host, meeting.port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind) as probe:  # sends nothing
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise SetupError(
            f"rank {meeting.rank}: no way to {meeting.address} ({error}); check MASTER_ADDR, or "
            "choose an interface by GLOO_SOCKET_IFNAME"
        ) from error


def _interface() -> str:
    return os.environ.get("GLOO_SOCKET_IFNAME", "").split(",")[0]


def _address_of(interface: str) -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            name = struct.pack("256s", interface.encode())
            return socket.inet_ntoa(fcntl.ioctl(probe, _SIOCGIFADDR, name)[20:24])
    except (OSError, struct.error) as error:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise ConfigError(
            f"GLOO_SOCKET_IFNAME is {interface!r} ({error}); it must be an interface with an IPv4 "
            f"address; here are {names}"
        ) from None


def _meets_at_home(host: str) -> bool:
    # Many hosts give their own name a loopback address, which no other host can reach.
    interface = _interface()
    return is_loopback(host) and (not interface or is_loopback(_address_of(interface)))


def _serve(meeting: Meeting, timeout: timedelta) -> TCPStore:
    # A rank that is early for the next meeting would find the store of the last one, and lose it:
    # it stays for meetings at the same address.
    if _latest_served.get("address") != meeting.address:
        _latest_served.clear()
        _latest_served.update(store=_newly_served(meeting, timeout), address=meeting.address)
    store: TCPStore = _latest_served["store"]
    return store


def _newly_served(meeting: Meeting, timeout: timedelta) -> TCPStore:
    try:
        if meeting.loopback and is_loopback(meeting.host):
            with socket.create_server((LOOPBACK, meeting.port), backlog=128) as listener:
                return _served_store(meeting.host, meeting.port, timeout, listener.detach())
        return _served_store(meeting.host, meeting.port, timeout, None)
    except (OSError, RuntimeError) as error:
        raise SetupError(
            f"rank 0 cannot serve the store at {meeting.address}: {_first_line(error)}; choose "
            "another MASTER_PORT, or end the program that holds it"
        ) from error


def _served_store(host: str, port: int, timeout: timedelta, descriptor: int | None) -> TCPStore:
    return TCPStore(
        host,
        port,
        None,
        True,
        timeout,
        wait_for_workers=False,
        multi_tenant=descriptor is None,
        master_listen_fd=descriptor,
    )


def _wait_for_port(meeting: Meeting, seconds: float) -> None:
    # TCPStore's own attempt takes twice its timeout and logs a stack trace.
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((meeting.host, meeting.port), timeout=1.0).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SetupError(
                    f"rank {meeting.rank} of {meeting.size}: rank 0 did not come within "
                    f"{seconds:g} s: nothing answers at {meeting.address} ({error}); start rank 0, "
                    "or check MASTER_ADDR and MASTER_PORT"
                ) from error
        time.sleep(_POLL_SECONDS)


def _leave_together(store: Store, meeting: Meeting) -> None:
    # Rank 0 may serve the store: it stays until the others have read every record.
    store.set(f"read/{meeting.rank}", "")
    if meeting.hosts_store:
        # A rank that dies here is noticed, and named, by the next step.
        with contextlib.suppress(RuntimeError):
            store.wait([f"read/{r}" for r in range(meeting.size)], _READ_TIMEOUT)


def _absent(meeting: Meeting, missing: set[int], seconds: float) -> str:
    names = ", ".join(map(str, sorted(missing)))
    noun, them = ("rank", "it") if len(missing) == 1 else ("ranks", "them")
    return (
        f"rank {meeting.rank} of {meeting.size}: {noun} {names} did not come within "
        f"{seconds:.3g} s (meeting at {meeting.address}); start {them} with the same MASTER_ADDR, "
        "MASTER_PORT and WORLD_SIZE, or raise setup_timeout"
    )


def _twice(meeting: Meeting) -> str:
    return (
        f"rank {meeting.rank} of {meeting.size} has come to the meeting at {meeting.address} "
        "before: there is a second process of this rank, or it was started again before the "
        "others noticed the end of the first; start it again when they have"
    )


def _check_agreement(settings: Settings, theirs: dict[str, Any], rank: int, other: int) -> None:
    for name, value in settings.agreement().items():
        if theirs.get(name) != value:
            raise ConfigError(
                f"{name} is {value!r} at rank {rank} and {theirs.get(name)!r} at rank {other}; "
                "it must be the same at all ranks"
            )


def _variable(name: str, meaning: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigError(
            f"init() needs the environment variable {name} ({meaning}), which is not set; start "
            "the program with torchrun or `cryptensor party`, or use ct.launch or ct.simulate"
        )
    return value


def _integer_variable(name: str, low: int, high: int) -> int:
    allowed = f"an integer from {low} to {high}"
    text = _variable(name, allowed)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ConfigError(f"the environment variable {name} is {text!r}; it must be {allowed}")
    return int(text)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
