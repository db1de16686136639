# SPDX-License-Identifier: MIT
"""What a session reveals: counted by call site, and forbidden where a policy says so.

The engine calls an Openings before it sends anything of a value that is not public. All parties
run the same program, so all of them are refused the same reveal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .call_site import CallSite, call_site
from .errors import ConfigError, PolicyError

NOBODY = "nobody"
# The last part of an operation that opens the one bit of checked mode.
_VERDICT = "check"


@dataclass(frozen=True, slots=True)
class Opening:
    """Reveals of one call site: how often, of which shape, to which rank (None: to all).

    operation is what was running, such as "log.check" for the verdict of checked mode on a
    logarithm, or else the function that the program called.
    """

    site: str
    operation: str
    shape: tuple[int, ...]
    destination: int | None
    count: int = 1

    def __str__(self) -> str:
        return f"{self.site}  {self.operation}  {self.shape} to {_named(self.destination)}"


class Policy:
    """Which reveals are allowed; in force from when a session gets it until it is removed."""

    def __init__(self, parties: int, reveal_to: object, max_reveals: Any, verdicts: object) -> None:
        self.allowed = _ranks(parties, reveal_to)
        self.everybody = frozenset(range(parties))
        if max_reveals is not None and not (_is_integer(max_reveals) and max_reveals >= 0):
            raise ConfigError(
                f"max_reveals is {max_reveals!r}; it must be None or an integer from 0"
            )
        if not isinstance(verdicts, bool):
            raise ConfigError(f"verdicts is {verdicts!r}; it must be True or False")
        self.max_reveals = max_reveals
        self.verdicts = verdicts
        self.reveals = 0
        self.line = call_site().line

    def check(self, opening: Opening) -> None:
        """Raises PolicyError for a reveal that is not allowed."""
        if self._is_free(opening):
            return
        receivers = self.everybody if opening.destination is None else {opening.destination}
        if self.allowed is not None and not receivers <= self.allowed:
            allowed = ", ".join(map(_named, sorted(self.allowed))) or NOBODY
            raise self._refusal(opening, f"reveals to {allowed}")
        if self.max_reveals is not None and self.reveals >= self.max_reveals:
            raise self._refusal(opening, f"max_reveals={self.max_reveals}, which are used up")

    def count(self, opening: Opening) -> None:
        self.reveals += not self._is_free(opening)

    def _is_free(self, opening: Opening) -> bool:
        return self.verdicts and opening.operation.rpartition(".")[2] == _VERDICT

    def _refusal(self, opening: Opening, allowed: str) -> PolicyError:
        return PolicyError(
            f"a reveal of shape {opening.shape} to {_named(opening.destination)} by "
            f"{opening.operation} at {opening.site} is forbidden; the policy of {self.line} "
            f"allows {allowed}"
        )


class Openings:
    """The reveals of one session so far, and the policies that it obeys. Holds no value."""

    def __init__(self) -> None:
        self._counts: dict[Opening, int] = {}
        self.policies: list[Policy] = []

    def __call__(self, operation: str, shape: Iterable[int], destination: int | None) -> None:
        """Counts a reveal that is about to happen. Raises PolicyError where one forbids it."""
        site: CallSite = call_site()
        opening = Opening(site.line, operation or site.function, tuple(shape), destination)
        for policy in self.policies:
            policy.check(opening)
        for policy in self.policies:
            policy.count(opening)
        self._counts[opening] = self._counts.get(opening, 0) + 1

    def listed(self) -> tuple[Opening, ...]:
        """In the order of the first reveal of each."""
        return tuple(
            Opening(o.site, o.operation, o.shape, o.destination, count)
            for o, count in self._counts.items()
        )

    def reset(self) -> None:
        """Forgets what was counted, but not what policies have counted."""
        self._counts.clear()


def _ranks(parties: int, reveal_to: object) -> frozenset[int] | None:
    if reveal_to is None:
        return None
    if isinstance(reveal_to, str) and reveal_to == NOBODY:
        return frozenset()
    given = [reveal_to] if _is_integer(reveal_to) else reveal_to
    if isinstance(given, (list, tuple, set, frozenset, range)) and all(
        _is_integer(rank) and 0 <= rank < parties for rank in given
    ):
        return frozenset(given)
    raise ConfigError(
        f"reveal_to is {reveal_to!r}; it must be None, {NOBODY!r}, a rank from 0 to {parties - 1} "
        "or a collection of such ranks"
    )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _named(destination: int | None) -> str:
    return "all parties" if destination is None else f"party {destination}"
