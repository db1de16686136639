# SPDX-License-Identifier: MIT
"""How party 0 asks a standing dealer to join a session. `cryptensor dealer` is the other side."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import replace

from . import links, rendezvous
from .address import parse_address
from .announcement import Announcement, parse_line, read_line
from .config import Settings
from .errors import AuthFailed, ProtocolError, SetupError

_RETRY_SECONDS = 0.1
_MAX_REASON = 300


def expected(meeting: rendezvous.Meeting, settings: Settings) -> rendezvous.Meeting:
    """The meeting of the parties with one rank more, the standing dealer's."""
    host, _ = parse_address("dealer", settings.dealer)
    return replace(
        meeting,
        size=settings.ranks,
        name=meeting.name or rendezvous.next_name(meeting),
        loopback=meeting.loopback and rendezvous.is_loopback(host),
    )


def announce(meeting: rendezvous.Meeting, settings: Settings) -> None:
    """Asks the dealer at `settings.dealer` to join the meeting. Called at rank 0.

    Raises SetupError (nobody answers within `setup_timeout`, or it refuses, with its reason) and
    AuthFailed (its certificate is not the dealer's, or it refuses this rank's).
    """
    told = Announcement.of(
        settings,
        host=meeting.host,
        port=meeting.port,
        name=meeting.name,
        loopback=meeting.loopback,
    )
    deadline = time.monotonic() + settings.setup_timeout
    who = f"the dealer at {settings.dealer}"
    try:
        with _connected(settings, deadline) as link:
            link.sendall(told.to_line())
            answer = parse_line(read_line(link, deadline))
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "no TLS"
        raise AuthFailed(f"{who} and this rank do not accept each other: {reason}") from error
    except OSError as error:
        raise SetupError(
            f"{who} does not answer within {settings.setup_timeout:g} s ({error}); start it with "
            "`cryptensor dealer --listen HOST:PORT`, or check the address"
        ) from error
    except ProtocolError as error:
        raise SetupError(f"{who} gives no answer that this version knows: {error}") from error
    if "refused" in answer:
        reason = "".join(c for c in str(answer["refused"])[:_MAX_REASON] if c.isprintable())
        raise SetupError(f"{who} refuses the session: {reason}")


def _connected(settings: Settings, deadline: float) -> socket.socket:
    address = parse_address("dealer", settings.dealer)
    while True:
        left = max(deadline - time.monotonic(), 0.01)
        try:
            link = socket.create_connection(address, timeout=left)
            break
        except OSError:
            if time.monotonic() + _RETRY_SECONDS > deadline:
                raise
        time.sleep(_RETRY_SECONDS)
    if settings.certificates is None:
        return link
    try:
        context = links.context(settings.certificates, "party0", ssl.PROTOCOL_TLS_CLIENT)
        return context.wrap_socket(link, server_hostname="dealer")
    except BaseException:
        link.close()
        raise
