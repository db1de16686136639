# SPDX-License-Identifier: MIT
"""What goes wrong in one party's files or tables becomes a named error at all parties.

Each party brings its outcome and a few public bytes of fixed length; all of them see all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from ..errors import ConfigError, FileError, ProtocolError, RangeError, ShapeError

Result = TypeVar("Result")

# The calls that may meet, and what a party could not do in each.
_CALLS = {
    "ct.save()": "save what it was given",
    "the end of ct.save()": "write its file",
    "ct.load()": "load its file",
    "ct.load_from_party()": "load the plain file",
    "ct.load_table()": "read its table",
    "ct.intersect()": "give its identifiers",
    "ct.join()": "give its table",
}
_NAMES = list(_CALLS)
_CLASSES: tuple[type[Exception], ...] = (ConfigError, FileError, ShapeError, RangeError)
_UNEXPECTED = len(_CLASSES) + 1
# Of one length for all calls, so that parties at different calls find out which.
_LINE_BYTES = 48


def attempt(work: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    """The result of local work, or what it raised: the other parties have to hear of it first."""
    try:
        return work(), None
    except Exception as error:
        return None, error


def agree(engine: Any, call: str, error: Exception | None, line: bytes = b"") -> list[bytes]:
    """The lines of all parties, by rank; raises at every party where one comes with an error.

    line: at most 48 public bytes; they come back with zeros behind.
    Cost: one round for each party and one more. Raises the error itself where it is this party's,
      one of the same class that names the party elsewhere, and ConfigError where the parties are
      not at the same call.
    """
    line = line.ljust(_LINE_BYTES, b"\0")
    mine = torch.tensor([_code(error), _NAMES.index(call), *line], dtype=torch.int64)
    try:
        rows = [
            engine.input(mine if engine.rank == party else list(mine.shape), party)
            for party in range(engine.parties)
        ]
        table = engine.reveal(engine.combine(rows, torch.stack)).to(torch.int64).tolist()
    finally:
        if error is not None:
            raise error
    for party, (code, at, *theirs) in enumerate(table):
        if not 0 <= code <= _UNEXPECTED or not 0 <= at < len(_NAMES) or not _are_bytes(theirs):
            raise ProtocolError(f"party {party} sent no outcome of its local work")
        if code:
            raised = FileError if code == _UNEXPECTED else _CLASSES[code - 1]
            what = _CALLS[_NAMES[at]]
            raise raised(f"party {party} could not {what}; see the error there")
    for party, (_, at, *_) in enumerate(table):
        if _NAMES[at] != call:
            raise ConfigError(
                f"party {party} is at {_NAMES[at]} and this one at {call}; all parties must make "
                "the same calls in the same order"
            )
    return [bytes(theirs) for _, _, *theirs in table]


def _are_bytes(values: list[int]) -> bool:
    return len(values) == _LINE_BYTES and all(0 <= value < 256 for value in values)


def _code(error: Exception | None) -> int:
    if error is None:
        return 0
    for code, kind in enumerate(_CLASSES, 1):
        if isinstance(error, kind):
            return code
    return _UNEXPECTED
