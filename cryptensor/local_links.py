# SPDX-License-Identifier: MIT
"""Links between processes of one user on one host: memory that each pair of ranks shares."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from torch.distributed import Store

from . import _C
from .config import Settings
from .errors import ConfigError, SetupError
from .rendezvous import Meeting

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = "/proc/self/ns/net"


def host_of(meeting: Meeting) -> str | None:
    """Equal at processes that can share memory; None where this rank may have others far away."""
    if not meeting.loopback:
        return None
    try:
        boot = _BOOT_ID.read_text().strip()
        # The names of the sockets over which they meet are those of one network namespace.
        return f"{boot}/{os.geteuid()}/{os.readlink(_NETWORK)}"
    except OSError:
        return None


def are_chosen(settings: Settings, hosts: list[str | None]) -> bool:
    """Whether the ranks, whose hosts_of() these are, share memory. The same at all of them.

    Raises ConfigError where that was demanded and is impossible.
    """
    if settings.certificates is not None or settings.transport == "gloo":
        return False
    together = hosts[0] is not None and len(set(hosts)) == 1
    if settings.transport == "shared_memory" and not together:
        raise ConfigError(
            "transport is 'shared_memory' with ranks that are not all processes of one user on one "
            "host and network; it must be 'auto' or 'gloo'"
        )
    return together


def connect(store: Store, meeting: Meeting, seconds: float) -> _C.Transport:
    """A transport over shared memory to all ranks of the meeting. Raises SetupError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        name = f"cryptensor-{secrets.token_hex(16)}"
        listener.bind(b"\0" + name.encode())
        listener.listen(128)
        try:
            store.set(f"local/{meeting.rank}", name)
            names = [store.get(f"local/{rank}").decode() for rank in range(meeting.size)]
        except RuntimeError as error:
            raise SetupError(
                f"rank {meeting.rank}: the names of the others did not come through the store "
                f"within {seconds:g} s"
            ) from error
        return _C.shared_memory_transport(
            rank=meeting.rank, listener=listener.detach(), names=names, seconds=float(seconds)
        )
