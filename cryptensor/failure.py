# SPDX-License-Identifier: MIT
"""What went wrong at a party, and which of several failures was the first cause."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import RemoteError

# When one party fails the others fail too, for want of a peer. Those errors are the echo.
_ECHOES = {"SetupError": 1, "PeerTimeout": 2, "PeerLost": 3}
_MAX_TRACEBACK = 32_768


@dataclass(frozen=True, slots=True)
class Failure:
    """One party's end without a result.

    kind is the name of the exception's type, or of the signal that killed the process.
    """

    party: int
    name: str
    kind: str
    message: str
    traceback: str = ""

    @classmethod
    def of_exception(cls, party: int, name: str, error: BaseException) -> Failure:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        text = "".join(lines)[-_MAX_TRACEBACK:]
        return cls(party, name, type(error).__name__, str(error), text)

    @classmethod
    def of_exit(cls, party: int, name: str, code: int) -> Failure:
        if code >= 0:
            return cls(party, name, "exit", f"ended with exit code {code} and without a result")
        try:
            sent = signal.Signals(-code).name
        except ValueError:
            sent = f"signal {-code}"
        hint = " (by hand, or because memory ran out)" if sent == "SIGKILL" else ""
        return cls(party, name, sent, f"was killed by {sent}{hint}")


def first_cause(failures: Iterable[Failure]) -> Failure:
    """The failure that is no echo of another one; among equals, the one that came first."""
    # The dealer only hears of the parties' troubles: between echoes, theirs say more.
    return min(failures, key=lambda f: (_ECHOES.get(f.kind, 0), f.name.startswith("the dealer")))


def remote_error(failures: list[Failure]) -> RemoteError:
    """The error to raise for the failures of a run, given in the order in which they came."""
    cause = first_cause(failures)
    text = f"{cause.name} {_what(cause)}"
    others = [f"{f.name}: {f.kind}" for f in failures if f is not cause]
    if others:
        text += f"\n(then {', '.join(others)})"
    if cause.traceback:
        text += f"\n\n{cause.name}, remote traceback:\n{cause.traceback.rstrip()}"
    error = RemoteError(text)
    error.party = cause.party
    error.kind = cause.kind
    error.message = cause.message
    error.remote_traceback = cause.traceback
    error.failures = tuple(failures)
    return error


def _what(cause: Failure) -> str:
    return f"raised {cause.kind}: {cause.message}" if cause.traceback else cause.message
