# SPDX-License-Identifier: MIT
"""What party 0 tells a standing dealer: where a session meets, and what it is like.

One line of JSON each way, over TLS where there are certificates. Everything that the dealer and the
parties have to keep from others goes over the links of the session, never here.
"""

from __future__ import annotations

import json
import re
import socket
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from .config import Settings
from .errors import ConfigError, ProtocolError

VERSION = 1
MAX_LINE = 4_096
_HOST = re.compile(r"[\w.:%-]{1,253}", re.ASCII)
_NAME = re.compile(r"[\w./-]{1,200}", re.ASCII)
_AGREED = (
    *("parties", "precision", "truncation", "checked", "network"),
    *("transport", "timeout", "setup_timeout"),
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A session that a dealer is asked to join as its last rank.

    host, port, name: where the ranks meet, and the prefix of their keys there.
    loopback: all parties are on the dealer's host.
    encrypted: the links of the session are.
    The others are settings of the session, see config.Settings.
    """

    host: str
    port: int
    name: str
    loopback: bool
    encrypted: bool
    parties: int
    precision: int
    truncation: str
    checked: bool
    network: str
    transport: str
    timeout: float
    setup_timeout: float
    version: int = VERSION

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, settings: Settings, **where: Any) -> Announcement:
        """The announcement of a party's own session."""
        agreed = {name: getattr(settings, name) for name in _AGREED}
        return cls(**where, encrypted=settings.certificates is not None, **agreed)

    @classmethod
    def from_line(cls, line: bytes) -> Announcement:
        """Of bytes that anybody may have sent. Raises ProtocolError, or ConfigError for a value."""
        values = parse_line(line)
        names = {field.name for field in fields(cls)}
        version = values.get("version")
        if type(version) is not int or version != VERSION:
            raise ProtocolError(f"version is {version!r}; it must be {VERSION}")
        if set(values) != names:
            raise ProtocolError(f"fields are {sorted(values)}; they must be {sorted(names)}")
        made = cls(**values)
        _check(isinstance(made.host, str) and _HOST.fullmatch(made.host), "host", made.host)
        _check(isinstance(made.name, str) and _NAME.fullmatch(made.name), "name", made.name)
        _check(type(made.port) is int and 0 < made.port < 65_536, "port", made.port)
        _check(type(made.loopback) is bool, "loopback", made.loopback)
        _check(type(made.encrypted) is bool, "encrypted", made.encrypted)
        made.settings()
        return made

    def settings(self, **of_dealer: Any) -> Settings:
        """The session's settings at the dealer. Raises ConfigError."""
        agreed = {name: getattr(self, name) for name in _AGREED}
        return Settings(provider="third_party", **{**agreed, **of_dealer})


def parse_line(line: bytes) -> dict[str, Any]:
    """An object of JSON. Raises ProtocolError for anything else."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the line is no JSON") from error
    if not isinstance(values, dict):
        raise ProtocolError("the line is no object of JSON")
    return values


def read_line(link: socket.socket, deadline: float) -> bytes:
    """A line of at most MAX_LINE bytes. Raises ProtocolError, TimeoutError, OSError."""
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no whole line came in time")
        link.settimeout(left)
        more = link.recv(MAX_LINE + 1 - len(line))
        if not more:
            raise ProtocolError(f"the connection ended after {len(line)} bytes of a line")
        line += more
        if len(line) > MAX_LINE or b"\n" in line[:-1]:
            raise ProtocolError(f"more came than a line of {MAX_LINE} bytes")
    return line


def _check(good: object, name: str, value: object) -> None:
    if not good:
        raise ConfigError(f"{name} of the announcement is {str(value)[:80]!r}, which is not one")
