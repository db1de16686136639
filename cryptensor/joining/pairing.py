# SPDX-License-Identifier: MIT
"""join(): two owners' tables aligned by an identifier, with the matching rows known or secret.

The hidden join compares all pairs under the protocol, which tells nobody anything. Hashing to bins
(B. Pinkas, T. Schneider, O. Tkachenko, A. Yanai, Efficient Circuit-Based PSI with Linear
Communication, EUROCRYPT 2019) would do with fewer comparisons from some thousand rows on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch

from .. import session
from ..data import cryptensor
from ..errors import ConfigError
from ..tables import column, numbers, read_frame
from ..tensor import CrypTensor
from .blinding import bindings
from .intersection import matching
from .meeting import Met, check_owners, meet

_DOMAIN = b"cryptensor hidden join 1\0"
# Of an identifier's hash, in two words that each fit an input: two among n and m rows meet by
# chance with a probability below n m / 2^60.
_WORD_BITS = 30
_PAIRS = 1 << 20  # compared at a time


class Joined(NamedTuple):
    """Secrets of shape (rows, columns of that owner), and (rows,) of 0 and 1 where it is hidden."""

    left: CrypTensor
    right: CrypTensor
    matched: CrypTensor | None


def join(
    source: Any,
    on: Any,
    columns: Sequence[Any] | None = None,
    *,
    owners: tuple[int, int] = (0, 1),
    hidden: bool = False,
    normalize: str | None = "NFC",
) -> Joined:
    """An inner join of two owners' tables: row i of left and of right have one identifier.

    source: at an owner a pandas DataFrame or the path of a .csv, .parquet or .pq file, as for
      load_table(); None at the other parties.
    on: at an owner the name of the column with the identifiers, read from CSV as text; see
      intersect() for what it may hold, and for owners and normalize.
    columns: at an owner the columns to take, by default all but `on`.
    hidden: False: each owner learns which of its rows match, all parties how many. True: nobody
      learns it. Then left has all rows of the first owner in their order, `matched` is 1 where the
      second has the identifier, and where it is 0 the row of right is 0.

    Cost: that of intersect() and of two load_table(); hidden: n m equality tests and a product of
    n x m with the second table, in blocks of a million pairs: for tables of up to a few thousand
    rows. Raises what intersect() and load_table() raise, at every party; ConfigError for a hidden
    join in a checked session.
    """
    engine: Any = session.current().engine
    owners = check_owners(engine, owners)
    if hidden not in (True, False):
        raise ConfigError(f"hidden is {hidden!r}; it must be True or False")
    if hidden and session.current().config.checked:
        raise ConfigError("hidden is True in a checked session; its words would be out of range")
    mine = engine.rank in owners
    table: list[torch.Tensor] = []

    def identifiers() -> Any:
        if not hidden:
            bindings()
        frame = read_frame(source, [on])
        names = [name for name in frame.columns if name != on] if columns is None else columns
        found = column(frame, on)
        table.append(numbers(frame, names))
        return found

    met = meet(engine, "ct.join()", identifiers, owners, normalize)
    values = table[0] if mine else None
    if hidden:
        left, right = (_secret(engine, values, owner) for owner in owners)
        matches = _matches(engine, met, owners)
        return Joined(left, *_picked(matches, right))
    rows = matching(engine, met, owners)
    if values is not None:
        values = values[rows]
    left, right = (_secret(engine, values, owner) for owner in owners)
    return Joined(left, right, None)


def _secret(engine: Any, values: torch.Tensor | None, owner: int) -> CrypTensor:
    return cryptensor(values if engine.rank == owner else None, owner, dtype=torch.float32)


def _matches(engine: Any, met: Met, owners: tuple[int, int]) -> Any:
    """Blocks of rows of the secret n x m matrix that is 1 where two identifiers are equal."""
    words = _words(met.mine) if met.mine else None
    first, second = (_entered(words if engine.rank == owner else None, owner) for owner in owners)
    block = max(1, _PAIRS // met.counts[1])
    for start in range(0, met.counts[0], block):
        yield (first[start : start + block, None] == second[None, :]).float()


def _picked(matches: Any, right: CrypTensor) -> tuple[CrypTensor, CrypTensor]:
    rows, matched = [], []
    for block in matches:
        rows.append(block @ right)
        matched.append(block.sum(1))
    return cast(CrypTensor, torch.cat(rows)), cast(CrypTensor, torch.cat(matched))


def _entered(words: torch.Tensor | None, owner: int) -> CrypTensor:
    """The words of an owner as one secret integer each, of 60 bits."""
    low, high = cryptensor(words, owner, dtype=torch.int64).unbind(0)
    return cast(CrypTensor, high * (1 << _WORD_BITS) + low)


def _words(identifiers: list[bytes]) -> torch.Tensor:
    hashes = [hashlib.sha512(_DOMAIN + identifier).digest() for identifier in identifiers]
    whole = [int.from_bytes(digest[:8], "little") for digest in hashes]
    mask = (1 << _WORD_BITS) - 1
    return torch.tensor([[h & mask for h in whole], [h >> _WORD_BITS & mask for h in whole]])
