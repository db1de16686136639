# SPDX-License-Identifier: MIT
"""Listens for sessions and gives each one a process. Nothing that a peer sends runs here."""

from __future__ import annotations

import ipaddress
import itertools
import json
import logging
import os
import signal
import socket
import ssl
import threading
import time
from dataclasses import asdict
from typing import Any

from .. import links, rendezvous
from ..address import parse_address
from ..announcement import Announcement, read_line
from ..errors import AuthFailed, ConfigError, Error, SetupError
from .events import one_line, tell
from .worker_process import WorkerProcess

# A party that is there says what it wants at once.
_GREETING_SECONDS = 5.0
_MAX_GREETINGS = 64
_MAX_SETUP_SECONDS = 300.0
_STOP_SECONDS = 1.0
MAX_SESSIONS = 1_024
MIN_MEMORY_MIB = 16
MAX_MEMORY_MIB = 1 << 20


class _StopRequest(BaseException):
    """A signal came."""


class DealerService:
    """A dealer that stands at an address and serves sessions until it is told to stop.

    listen: HOST:PORT; port 0 takes a free one. Without `certificates` (a folder with dealer.pem,
      dealer.key, authority.pem) it is at the loopback interface, unless insecure_ok.
    max_sessions: at the same time; more are refused.
    memory: MiB that one session may hold for corrections on their way and in the making.

    Raises ConfigError for a bad value, SetupError when the address cannot be listened at.
    """

    def __init__(
        self,
        listen: str,
        *,
        certificates: str | None = None,
        insecure_ok: bool = False,
        max_sessions: int = 16,
        memory: int = 2_048,
    ) -> None:
        host, port = parse_address("listen", listen, 0)
        _check_integer("max_sessions", max_sessions, 1, MAX_SESSIONS)
        _check_integer("memory", memory, MIN_MEMORY_MIB, MAX_MEMORY_MIB)
        if certificates is None and not insecure_ok and not rendezvous.is_loopback(host):
            raise ConfigError(
                f"listen is {listen!r} and certificates is None; without certificates it must be a "
                "loopback address, or insecure_ok must be True for a network that all trust"
            )
        self._context = None
        if certificates is not None:
            self._context = links.context(certificates, "dealer", ssl.PROTOCOL_TLS_SERVER)
        self._certificates = certificates
        self._insecure_ok = insecure_ok
        self._max_sessions = max_sessions
        self._memory = memory
        self._numbers = itertools.count(1)
        self._greetings = threading.BoundedSemaphore(_MAX_GREETINGS)
        self._lock = threading.Lock()
        self._sessions: dict[int, WorkerProcess] = {}
        self._stopping = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            raise SetupError(
                f"cannot listen at {listen} ({error}); choose another address, or end the program "
                "that holds it"
            ) from error
        # An interpreter with torch takes seconds to start, so one is always ready.
        self._spare: WorkerProcess | None = WorkerProcess()

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def serve(self) -> None:
        """Until SIGTERM or SIGINT; then all sessions end. In the main thread only."""

        def stop(number: int, frame: object) -> None:
            raise _StopRequest

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            tell(
                "listening",
                address=self.address,
                encrypted=self._certificates is not None,
                max_sessions=self._max_sessions,
                memory_mib=self._memory,
                pid=os.getpid(),
            )
            self._accept()
        except _StopRequest:
            for number in before:
                signal.signal(number, signal.SIG_IGN)  # once is enough
        finally:
            self.close()
            for number, handler in before.items():
                signal.signal(number, handler)
            tell("stopped")

    def close(self) -> None:
        """Ends the sessions and frees the address."""
        self._listener.close()
        with self._lock:
            self._stopping = True
            workers = [*self._sessions.values(), *filter(None, [self._spare])]
        for worker in workers:
            worker.stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for worker in workers:
            worker.kill(deadline - time.monotonic())

    def _accept(self) -> None:
        while True:
            try:
                link, address = self._listener.accept()
            except OSError as error:  # out of descriptors, perhaps: it passes
                tell("trouble", logging.WARNING, reason=one_line(error))
                time.sleep(0.1)
                continue
            peer = address[0].partition("%")[0]
            if not self._greetings.acquire(blocking=False):
                link.close()
                tell("refused", logging.WARNING, peer=peer, reason="too many connections at once")
                continue
            threading.Thread(target=self._greet, args=(link, peer), daemon=True).start()

    def _greet(self, link: socket.socket, peer: str) -> None:
        opened = None
        try:
            opened = self._answer(link, peer)
        except (Error, OSError) as error:
            tell("refused", logging.WARNING, peer=peer, reason=one_line(error))
        finally:
            self._greetings.release()
        if opened is not None:
            self._follow(*opened)

    def _answer(self, link: socket.socket, peer: str) -> tuple[int, WorkerProcess]:
        deadline = time.monotonic() + _GREETING_SECONDS
        with self._secured(link) as secured:
            try:
                announced = Announcement.from_line(read_line(secured, deadline))
                self._check(announced, peer)
                opened = self._open(announced, peer)
            except Error as error:
                secured.sendall(json.dumps({"refused": str(error)[:500]}).encode() + b"\n")
                raise
            try:
                secured.sendall(json.dumps({"session": opened[0]}).encode() + b"\n")
            except OSError:
                pass  # its process will find that nobody comes
            return opened

    def _secured(self, link: socket.socket) -> socket.socket:
        link.settimeout(_GREETING_SECONDS)
        if self._context is None:
            return link
        try:
            secured = self._context.wrap_socket(link, server_side=True)
        except BaseException:
            link.close()
            raise
        certificate: Any = secured.getpeercert()
        names = {value for _, value in certificate.get("subjectAltName", ())}
        if "party0" not in names:
            secured.close()
            raise AuthFailed(f"the certificate is that of {sorted(names)}; it must be of party0")
        return secured

    def _check(self, announced: Announcement, peer: str) -> None:
        encrypted = self._certificates is not None
        if announced.encrypted != encrypted:
            raise ConfigError(
                f"certificates: the dealer has {'some' if encrypted else 'none'}; it must be the "
                "same at the parties"
            )
        near = ipaddress.ip_address(peer).is_loopback
        if announced.loopback and not near:
            raise ConfigError(
                f"the meeting at {announced.host}:{announced.port} is on the loopback interface of "
                "another host; MASTER_ADDR must be an address that the dealer reaches"
            )
        if not (near or encrypted or self._insecure_ok):
            raise ConfigError("certificates is None between hosts; it must be a folder")
        if announced.setup_timeout > _MAX_SETUP_SECONDS:
            raise ConfigError(
                f"setup_timeout is {announced.setup_timeout:g}; for this dealer it must be at most "
                f"{_MAX_SETUP_SECONDS:g} s"
            )

    def _open(self, announced: Announcement, peer: str) -> tuple[int, WorkerProcess]:
        task = {
            "announcement": asdict(announced),
            "certificates": self._certificates,
            "insecure_ok": self._insecure_ok,
            "memory_mib": self._memory,
        }
        with self._lock:
            if self._stopping:
                raise SetupError("the dealer stops")
            if len(self._sessions) >= self._max_sessions:
                raise SetupError(
                    f"max_sessions is {self._max_sessions}, and so many are open; try again later"
                )
            worker, self._spare = self._spare, None
            if worker is None or not worker.is_alive():
                worker = WorkerProcess()
            number = next(self._numbers)
            self._sessions[number] = worker
        try:
            worker.begin(task)
        except OSError as error:
            self._forget(number)
            raise SetupError("the session's process ended before it began") from error
        meeting = f"{announced.host}:{announced.port}"
        parties = announced.parties
        tell("opened", session=number, peer=peer, parties=parties, meeting=meeting, pid=worker.pid)
        return number, worker

    def _keep_spare(self) -> None:
        with self._lock:
            if self._spare is None and not self._stopping:
                try:
                    self._spare = WorkerProcess()
                except OSError as error:  # the next session tries again
                    tell("trouble", logging.WARNING, reason=one_line(error))

    def _forget(self, number: int) -> bool:
        """True while the service goes on."""
        with self._lock:
            self._sessions.pop(number).stop()
            return not self._stopping

    def _follow(self, number: int, worker: WorkerProcess) -> None:
        start = time.monotonic()
        self._keep_spare()
        end = worker.end()
        if not self._forget(number):
            return
        seconds = round(time.monotonic() - start, 3)
        if end["end"] == "closed":
            tell("closed", session=number, seconds=seconds)
        else:
            tell("lost", logging.WARNING, session=number, seconds=seconds, reason=end["reason"])


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}; it must be an integer from {low} to {high}")
