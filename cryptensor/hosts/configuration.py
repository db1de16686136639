# SPDX-License-Identifier: MIT
"""The TOML file of a host: which rank it runs, where the ranks meet, and the session's settings.

role = "party"                  # or "dealer", which has no rank
rank = 0
parties = 2
certificates = "certificates"   # a folder, relative to this file
port = 29501                    # where this rank listens; any free port if it is missing
interface = "eth0"              # whose address the other ranks reach; found if it is missing
timeout = 30.0                  # this and the rest as in ct.init()

[meeting]                       # rank 0's address, the same at all ranks
host = "alice.example"
port = 29500
"""

from __future__ import annotations

import inspect
import os
import socket
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import presets, session
from ..config import MAX_PARTIES, Settings
from ..errors import ConfigError

ROLES = ("party", "dealer")
_MAX_PORT = 65_535
_SETTINGS = tuple(inspect.signature(session.init).parameters)
_KEYS = ("role", "rank", "parties", "port", "interface", "meeting", *_SETTINGS)
_MEETING_KEYS = ("host", "port")
# What a program started otherwise would read; the file alone decides.
_STALE = ("CRYPTENSOR_PORT", "CRYPTENSOR_CERTIFICATES", "GLOO_SOCKET_IFNAME", "GROUP_RANK")


@dataclass(frozen=True, slots=True)
class HostConfig:
    """A checked configuration.

    rank: from 0; the dealer's is the number of parties.
    given: the arguments of init() that the file sets; settings: these with the defaults.
    port, interface: None where the file leaves them out.
    """

    file: Path
    rank: int
    settings: Settings
    meeting_host: str
    meeting_port: int
    port: int | None = None
    interface: str | None = None
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def is_dealer(self) -> bool:
        return self.settings.provider == "third_party" and self.rank == self.settings.parties

    def environment(self) -> dict[str, str]:
        """The variables that torchrun would set for this rank, and those of its links."""
        found = {
            "RANK": self.rank,
            "LOCAL_RANK": 0,
            "WORLD_SIZE": self.settings.ranks,
            "LOCAL_WORLD_SIZE": 1,
            "MASTER_ADDR": self.meeting_host,
            "MASTER_PORT": self.meeting_port,
            "CRYPTENSOR_PORT": self.port,
            "GLOO_SOCKET_IFNAME": self.interface,
        }
        return {name: str(value) for name, value in found.items() if value is not None}

    def enter(self) -> None:
        """Makes this process the rank: its environment, and what init() will use.

        Raises ConfigError where this host has no such interface.
        """
        interfaces = [name for _, name in socket.if_nameindex()]
        if self.interface is not None and self.interface not in interfaces:
            allowed = f"an interface of this host: {', '.join(interfaces)}"
            raise ConfigError(f"{self.file}: {_refusal('interface', self.interface, allowed)}")
        for name in list(os.environ):
            if name in _STALE or name.startswith("TORCHELASTIC_"):
                del os.environ[name]
        os.environ.update(self.environment())
        presets.preset(str(self.file), self.given)


def read(file: str | os.PathLike[str], rank: int | None = None, dealer: bool = False) -> HostConfig:
    """The configuration in a file. `rank` or `dealer` take the place of the file's.

    Raises ConfigError that names the file, the key, its value and what is allowed.
    """
    path = Path(file)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; it must be a TOML file") from None
    if rank is not None and dealer:
        raise ConfigError(f"rank is {rank} for the dealer; it must be left out")
    if rank is not None or dealer:
        table = {**table, "role": ROLES[dealer]}
        table.pop("rank", None)
        table.update({} if rank is None else {"rank": rank})
    try:
        return _checked(path, table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _checked(path: Path, table: dict[str, Any]) -> HostConfig:
    _check_keys("", table, _KEYS)
    role = table.get("role", "party")
    if role not in ROLES:
        raise _refusal("role", role, "one of 'party', 'dealer'")
    parties = _integer(table, "parties", 2, MAX_PARTIES)
    given = {name: table[name] for name in _SETTINGS if name in table}
    if isinstance(given.get("certificates"), str):
        given["certificates"] = str(path.parent / given["certificates"])
    known = {entry.name for entry in fields(Settings)}
    # init() waits longer for hosts than launch() does for processes.
    defaults = {
        "setup_timeout": inspect.signature(session.init).parameters["setup_timeout"].default
    }
    chosen = {name: value for name, value in given.items() if name in known}
    settings = Settings(**{**defaults, **chosen, "parties": parties})
    meeting = table.get("meeting")
    if not isinstance(meeting, dict):
        raise _refusal("meeting", meeting, "a table with host and port", "meeting" in table)
    _check_keys("meeting.", meeting, _MEETING_KEYS)
    host = _text(meeting, "host", "the name or address of rank 0's host", "meeting.")
    if host is None:
        raise _refusal("meeting.host", None, "the name or address of rank 0's host", False)
    return HostConfig(
        file=path,
        rank=_rank(role, table, settings),
        settings=settings,
        meeting_host=host,
        meeting_port=_integer(meeting, "port", 1, _MAX_PORT, "meeting."),
        port=_integer(table, "port", 1, _MAX_PORT) if "port" in table else None,
        interface=_text(table, "interface", "the name of a network interface"),
        given=given,
    )


def _rank(role: str, table: dict[str, Any], settings: Settings) -> int:
    if role == "party":
        return _integer(table, "rank", 0, settings.parties - 1)
    if settings.provider != "third_party":
        raise _refusal("role", role, f"'party': provider {settings.provider!r} has no dealer")
    if "rank" in table:
        _integer(table, "rank", settings.parties, settings.parties)
    return settings.parties


def _check_keys(prefix: str, table: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for name, value in table.items():
        if name not in allowed:
            raise ConfigError(
                f"{prefix}{name} is {value!r}, but there is no such key; allowed are "
                + ", ".join(prefix + key for key in allowed)
            )


def _integer(table: dict[str, Any], name: str, low: int, high: int, prefix: str = "") -> int:
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        allowed = f"an integer from {low} to {high}" if low < high else f"{low}, or left out"
        raise _refusal(prefix + name, value, allowed, name in table)
    return value


def _text(table: dict[str, Any], name: str, allowed: str, prefix: str = "") -> str | None:
    value = table.get(name)
    if name in table and (not isinstance(value, str) or not value or value != value.strip()):
        raise _refusal(prefix + name, value, allowed)
    return value


def _refusal(name: str, value: object, allowed: str, there: bool = True) -> ConfigError:
    return ConfigError(f"{name} is {repr(value) if there else 'missing'}; it must be {allowed}")
