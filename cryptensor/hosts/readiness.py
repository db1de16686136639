# SPDX-License-Identifier: MIT
"""Whether a host could take part: its files, its certificate, its addresses. Starts nothing."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import links, rendezvous, session
from ..errors import ConfigError, Error, SetupError
from .configuration import HostConfig
from .running import DONE, LOST, MISCONFIGURED, UNAUTHENTICATED

_REACH_SECONDS = 3.0
_DAY = 86_400
_SOON_DAYS = 14
_OTHERS = 0o007


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. status: 0, or what the host would end with for this reason."""

    about: str
    text: str
    status: int = DONE


def inspect(config: HostConfig, program: str | os.PathLike[str] | None) -> list[Finding]:
    """What is in order and what is not. Sets the environment of this process as a run would."""
    config.enter()
    return [*_configuration(config, program), *_certificates(config), *_addresses(config)]


def _configuration(config: HostConfig, program: str | os.PathLike[str] | None) -> Iterator[Finding]:
    settings = config.settings
    who = "dealer" if config.is_dealer else f"party {config.rank}"
    yield Finding("configuration", f"{who} of {settings.parties} parties, {settings.provider}")
    if program is not None and not Path(program).is_file():
        yield Finding("program", f"{program} is no file", MISCONFIGURED)
    try:
        session.refuse_insecure(settings, rendezvous.from_environment().loopback)
    except ConfigError as error:
        yield Finding("links", str(error), MISCONFIGURED)


def _certificates(config: HostConfig) -> Iterator[Finding]:
    if config.settings.certificates is None:
        return
    folder = Path(config.settings.certificates)
    name = links.name_of(config.rank, config.settings.parties)
    files = [folder / "authority.pem", folder / f"{name}.pem", folder / f"{name}.key"]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        yield Finding("certificates", f"missing: {', '.join(missing)}", MISCONFIGURED)
        return
    if (folder / "authority.key").exists():
        text = f"{folder / 'authority.key'} can pretend to be any rank; it must not be on a host"
        yield Finding("authority", text, UNAUTHENTICATED)
    if files[2].stat().st_mode & _OTHERS:
        text = f"every user of this host can use {files[2]}; its mode must be 0600"
        yield Finding("key", text, UNAUTHENTICATED)
    try:
        authority, certificate, key = map(str, files)
        proved = _proved(authority, certificate, key, name)
        ends = ssl.cert_time_to_seconds(proved["notAfter"])
    except (OSError, ValueError) as error:
        reason = getattr(error, "verify_message", None) or str(error)
        text = f"{files[1]} does not prove {name!r} by {files[0]}: {reason}"
        yield Finding("certificate", text, UNAUTHENTICATED)
        return
    days = int((ends - time.time()) / _DAY)
    soon = "; make new ones in time" if days < _SOON_DAYS else ""
    yield Finding("certificate", f"{name}, good for {days} more days{soon}")


def _proved(authority: str, certificate: str, key: str, name: str) -> dict[str, Any]:
    """The certificate, after a handshake of this rank with itself, which checks it as peers do."""
    sides = []
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate, key, password=_no_password)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
        sides.append(context)
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = sides[0].wrap_bio(there, here, server_side=True)
    client = sides[1].wrap_bio(here, there, server_hostname=name)
    pending = [client, server]
    while pending:
        side = pending.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pending.append(side)
    certificate_of_peer: Any = client.getpeercert()
    return dict(certificate_of_peer)


def _no_password() -> str:
    raise ValueError("the key has a password; it must be stored without one")


def _addresses(config: HostConfig) -> Iterator[Finding]:
    meeting = rendezvous.from_environment()
    try:
        with rendezvous.listen(meeting) as listener:
            host, port = listener.getsockname()[:2]
            chosen = "" if config.port else " (any free port)"
            yield Finding("own address", f"{host}:{port}{chosen}")
    except SetupError as error:
        yield Finding("own address", str(error), LOST)
    except (Error, OSError) as error:
        yield Finding("own address", str(error), MISCONFIGURED)
    yield _served(meeting) if config.rank == 0 else _reached(meeting)


def _served(meeting: rendezvous.Meeting) -> Finding:
    try:
        socket.create_server(("", meeting.port)).close()
        socket.getaddrinfo(meeting.host, meeting.port)
    except OSError as error:
        return Finding("meeting", f"cannot be served at {meeting.address}: {error}", LOST)
    return Finding("meeting", f"will be served at {meeting.address}")


def _reached(meeting: rendezvous.Meeting) -> Finding:
    try:
        socket.create_connection((meeting.host, meeting.port), timeout=_REACH_SECONDS).close()
    except ConnectionRefusedError:
        text = f"the host of {meeting.address} answers; rank 0 is not started there"
        return Finding("meeting", text)
    except OSError as error:
        return Finding("meeting", f"nothing answers at {meeting.address}: {error}", LOST)
    return Finding("meeting", f"{meeting.address} answers")
