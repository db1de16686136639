# SPDX-License-Identifier: MIT
"""What two owners tell each other and everybody before they match rows: how many, of which type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..io.agreement import agree, attempt
from .identifiers import check_normalization, encoded

_COUNT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Met:
    """`mine` are this party's identifiers, none where it is no owner; `counts` of both owners."""

    mine: list[bytes]
    counts: tuple[int, int]


def check_owners(engine: Any, owners: Any) -> tuple[int, int]:
    """ConfigError unless owners are two ranks of parties."""
    pair = tuple(owners) if isinstance(owners, (tuple, list)) else ()
    ranks = {rank for rank in pair if isinstance(rank, int) and not isinstance(rank, bool)}
    if len(pair) != 2 or len(ranks) != 2 or not ranks <= set(range(engine.parties)):
        raise ConfigError(
            f"owners is {owners!r}; it must be two different ranks from 0 to {engine.parties - 1}"
        )
    return pair[0], pair[1]


def meet(
    engine: Any, call: str, identifiers: Any, owners: tuple[int, int], normalize: str | None
) -> Met:
    """Public: both counts, the type, `normalize` and `owners`, which must be the same everywhere.

    identifiers: at the owners, as for encoded(); or a function without arguments that returns them.
    Raises, at every party, what is wrong with one party's identifiers, and ConfigError for types
    or settings that differ. Cost: a round for each party and one more.
    """
    check_normalization(normalize)

    def prepared() -> tuple[str, list[bytes]]:
        given = identifiers() if callable(identifiers) else identifiers
        return encoded(given, normalize)

    found, error = attempt(prepared) if engine.rank in owners else (("", []), None)
    kind, mine = found if found is not None else ("", [])
    settings = f"{owners[0]} {owners[1]} {normalize}"
    line = len(mine).to_bytes(_COUNT_BYTES, "little") + f"{settings} {kind}".encode()
    lines = agree(engine, call, error, line)
    texts = [line[_COUNT_BYTES:].rstrip(b"\0").decode("ascii", "replace") for line in lines]
    for party, text in enumerate(texts):
        theirs, _, _ = text.rpartition(" ")
        if theirs != settings:
            raise ConfigError(
                f"party {party} has owners and normalize {theirs!r} and this one {settings!r}; "
                "they must be the same at all parties"
            )
    kinds = [texts[owner].rpartition(" ")[2] for owner in owners]
    if kinds[0] != kinds[1]:
        raise ConfigError(
            f"identifiers are {kinds[0]} at party {owners[0]} and {kinds[1]} at party {owners[1]}; "
            "both must be of one type"
        )
    counts = [int.from_bytes(lines[owner][:_COUNT_BYTES], "little") for owner in owners]
    return Met(mine, (counts[0], counts[1]))
