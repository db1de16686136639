# SPDX-License-Identifier: MIT
"""What a party's file says about itself, as strings of safetensors' metadata.

A file comes from outside: every field is checked before it is used, and a header that claims
anything which no save writes is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..config import MAX_PARTIES, MAX_PRECISION, MIN_PRECISION
from ..errors import FileError
from ..tensor import PUBLIC

FORMAT = "cryptensor"
VERSION = "1"
PROTOCOL = "additive mod 2^64"
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
CONTENTS = ("tensor", "dict", "module")
# The engine's own limits.
_MAX_FRACTION_BITS = 62
MAX_ELEMENTS = 2**31

_HEXADECIMAL = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a save, the same at all parties.

    kind: "secret" (shares), "plain" (as the party has it), or "tied" to the entry `same_as`.
    """

    name: str
    kind: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    fraction_bits: int = 0
    owner: int = PUBLIC
    requires_grad: bool = False
    same_as: str = ""

    def stored_at(self, party: int) -> bool:
        """Does this party's file hold elements? Of an owned value only its owner's does."""
        return self.kind == "plain" or (
            self.kind == "secret" and (self.owner < 0 or self.owner == party)
        )

    @property
    def stored_dtype(self) -> torch.dtype:
        return DTYPES[self.dtype] if self.kind == "plain" else torch.int64


@dataclass(frozen=True, slots=True)
class Header:
    """All that a file says beside its elements; but for `party` the same at all parties."""

    party: int
    parties: int
    precision: int
    contents: str
    entries: tuple[Entry, ...]
    save_id: str = "0" * 32

    def digest(self) -> bytes:
        """Of everything that the files of one save have in common."""
        common = self.metadata()
        del common["party"]
        return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).digest()

    def metadata(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "protocol": PROTOCOL,
            "save": self.save_id,
            "party": str(self.party),
            "parties": str(self.parties),
            "precision": str(self.precision),
            "contents": self.contents,
            "tensors": json.dumps([asdict(entry) for entry in self.entries]),
        }


def parse(metadata: dict[str, Any]) -> Header:
    """The header in a file's metadata. Raises FileError for another version or any bad field."""
    version = metadata.get("version")
    if version != VERSION:
        raise FileError(f"is of format version {version!r}; this cryptensor reads {VERSION!r}")
    if metadata.get("protocol") != PROTOCOL:
        raise FileError(f"is of another protocol; it must be {PROTOCOL!r}")
    parties = _number(metadata, "parties", 2, MAX_PARTIES)
    header = Header(
        party=_number(metadata, "party", 0, parties - 1),
        parties=parties,
        precision=_number(metadata, "precision", MIN_PRECISION, MAX_PRECISION),
        contents=str(metadata.get("contents")),
        entries=tuple(_entries(metadata.get("tensors"), parties)),
        save_id=str(metadata.get("save")),
    )
    if not _HEXADECIMAL.fullmatch(header.save_id):
        raise _malformed("save", "32 hexadecimal digits")
    if header.contents not in CONTENTS:
        raise _malformed("contents", f"one of {', '.join(CONTENTS)}")
    if header.contents == "tensor" and len(header.entries) != 1:
        raise _malformed("tensors", "a single one")
    return header


def _number(metadata: dict[str, Any], field: str, low: int, high: int) -> int:
    text = metadata.get(field)
    if not isinstance(text, str) or not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise _malformed(field, f"a number from {low} to {high}")
    return int(text)


def _entries(text: Any, parties: int) -> Iterable[Entry]:
    try:
        rows = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise _malformed("tensors", "a list")
    known: dict[str, Entry] = {}
    for row in rows:
        try:
            entry = Entry(**row)
            wrong = _wrong_field(entry, known, parties)
        except TypeError:
            wrong = "fields"
        if wrong is not None:
            raise _malformed("tensors", f"right in the {wrong} of tensor {len(known)}")
        entry = Entry(**{**row, "shape": tuple(row["shape"])})
        known[entry.name] = entry
        yield entry


def _wrong_field(entry: Entry, known: dict[str, Entry], parties: int) -> str | None:
    """The first field that no save writes, None where all are right."""
    if not isinstance(entry.name, str) or entry.name in known:
        return "name"
    if not isinstance(entry.shape, list) or not all(_is_integer(n, 0) for n in entry.shape):
        return "shape"
    if math.prod(max(size, 1) for size in entry.shape) > MAX_ELEMENTS:
        return "shape"
    if entry.kind == "tied":
        target = known.get(entry.same_as) if isinstance(entry.same_as, str) else None
        return None if target is not None and target.kind != "tied" else "same_as"
    if entry.kind not in ("secret", "plain"):
        return "kind"
    if not isinstance(entry.dtype, str) or entry.dtype not in DTYPES:
        return "dtype"
    if not _is_integer(entry.fraction_bits, 0, _MAX_FRACTION_BITS):
        return "fraction_bits"
    if not _is_integer(entry.owner, PUBLIC, parties - 1):
        return "owner"
    return None if isinstance(entry.requires_grad, bool) else "requires_grad"


def _is_integer(value: Any, low: int, high: int = MAX_ELEMENTS) -> bool:
    return type(value) is int and low <= value <= high


def _malformed(field: str, allowed: str) -> FileError:
    return FileError(f"has bad metadata: {field} must be {allowed}")
