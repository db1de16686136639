# SPDX-License-Identifier: MIT
"""intersect(): which rows of two owners have the same identifier, and nothing about the others.

Diffie-Hellman private set intersection. C. Meadows, A More Efficient Cryptographic Matchmaking
Protocol for Use in the Absence of a Continuously Available Third Party, IEEE S&P 1986;
B. Huberman, M. Franklin, T. Hogg, Enhancing Privacy and Trust in Electronic Communities, EC 1999.
Chosen over a keyed hash that a third party matches because it needs nobody else: the dealer sees
nothing of it, and no key is shared that would let one party try out the other's identifiers.

Owner A sends a·H(x) for each of its identifiers, sorted by these bytes, so that their order says
nothing; B returns ab·H(x) in that order, and the same the other way round. Equal points are equal
identifiers. Under the decisional Diffie-Hellman assumption on the curve and with H a random oracle,
all other points look like random ones to whoever does not know the scalar, however few values an
identifier can have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import session
from .blinding import POINT_BYTES, Blinding
from .meeting import Met, check_owners, meet

# Points between two signs of life: a fraction of a second of one core.
_CHUNK = 2048
_WORDS = POINT_BYTES // 4  # an input of the engine holds 46 bits


def intersect(
    identifiers: Any, owners: tuple[int, int] = (0, 1), *, normalize: str | None = "NFC"
) -> torch.Tensor | None:
    """The rows of this owner whose identifier the other owner has too; None at other parties.

    identifiers: at the two owners a list, array, tensor or column of int, str, bytes or UUID, the
      same type at both, each once; the other parties pass None.
    owners: two ranks, the same at all parties.
    normalize: "NFC", "NFKC" or None, the Unicode form of text before it is compared. Letter case
      and spaces count: bring them into one form before.

    Row i of the result is, at both owners, of the same identifier; their order is that of values
    that look random. It has no rows where nothing matches.

    Each owner learns which of its identifiers the other one has, and how many the other one has;
    that count is public, and so is the type. Nobody learns an identifier that only one owner has.
    An owner who gives identifiers that it does not know to exist learns whether the other one has
    them: the protocol cannot tell guesses from rows.

    Cost: 4 rounds and one for each 2,048 rows, n + m multiplications on the curve at each owner, 64
    bytes for each identifier from each owner and twice that where the engine shares them. Raises,
    at every party, ShapeError for no identifiers and ConfigError for missing, repeated or
    unsuitable ones, whose row its owner alone is told; ImportError without PyNaCl; PolicyError
    where ct.policy() forbids to reveal to the owners.
    """
    engine: Any = session.current().engine
    owners = check_owners(engine, owners)
    return matching(engine, meet(engine, "ct.intersect()", identifiers, owners, normalize), owners)


def matching(engine: Any, met: Met, owners: tuple[int, int]) -> torch.Tensor | None:
    """The rows of intersect() once the owners have met."""
    me = owners.index(engine.rank) if engine.rank in owners else None
    blinding: Any = None if me is None else Blinding()
    mine = _each(engine, met, blinding.of_identifier if blinding else None, met.mine)
    order = sorted(range(len(mine)), key=mine.__getitem__)
    theirs = _exchanged(engine, [mine[row] for row in order], owners, met.counts)
    other: Any = None if me is None else owners[1 - me]
    twice = _each(engine, met, lambda point: blinding.of_point(point, other), theirs)
    back = met.counts[::-1]  # what was sent comes back
    own_twice = _exchanged(engine, twice, owners, back)
    if me is None:
        return None
    common = set(twice).intersection(own_twice)
    rows = sorted((point, row) for point, row in zip(own_twice, order, strict=True))
    return torch.tensor([row for point, row in rows if point in common], dtype=torch.int64)


def _each(
    engine: Any, met: Met, work: Callable[[bytes], bytes] | None, values: list[bytes]
) -> list[bytes]:
    """work() of each value; no party waits longer than a chunk takes without hearing of others."""
    done: list[bytes] = []
    for start in range(0, max(met.counts), _CHUNK):
        done += [work(value) for value in values[start : start + _CHUNK]] if work else []
        engine.synchronize()
    return done


def _exchanged(
    engine: Any, points: list[bytes], owners: tuple[int, int], counts: tuple[int, int]
) -> list[bytes]:
    """The points of the other owner; none at a party that is no owner."""
    given = [
        engine.input(_to_words(points) if engine.rank == owner else [count, _WORDS], owner)
        for owner, count in zip(owners, counts, strict=True)
    ]
    opened = [engine.reveal(given[1 - i], owners[i]) for i in range(2)]
    received = next((words for words in opened if words is not None), None)
    return [] if received is None else _from_words(received)


def _to_words(points: list[bytes]) -> torch.Tensor:
    words = np.frombuffer(b"".join(points), dtype="<u4").reshape(len(points), _WORDS)
    return torch.from_numpy(words.astype(np.int64))


def _from_words(words: torch.Tensor) -> list[bytes]:
    whole = words.to(torch.int64).numpy().astype("<u4")
    return [row.tobytes() for row in whole]
