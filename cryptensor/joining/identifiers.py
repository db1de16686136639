# SPDX-License-Identifier: MIT
"""Identifiers as bytes that two parties agree on: one type, normalized text, none missing."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError, ShapeError

KINDS = ("int", "str", "bytes", "UUID")
NORMALIZATIONS = (None, "NFC", "NFKC")


def check_normalization(normalize: object) -> None:
    """ConfigError unless it is a form of Unicode or None."""
    if normalize not in NORMALIZATIONS:
        raise ConfigError(f"normalize is {normalize!r}; it must be one of {NORMALIZATIONS}")


def encoded(identifiers: Any, normalize: str | None) -> tuple[str, list[bytes]]:
    """The kind of all identifiers and the bytes of each, by row.

    identifiers: a list, array, tensor or column of int, str, bytes or UUID, all of one kind. Text
      is brought to the Unicode form `normalize`; letter case and spaces are as they are.

    Raises ShapeError for none, and ConfigError, which names the row and never the value, for a
    missing one (None, NaN, empty text), for another type (floats too), for two types and for one
    that occurs twice.
    """
    values = _listed(identifiers)
    if not values:
        raise ShapeError("identifiers is empty; it must have a row or more")
    kinds = [_kind(value, row) for row, value in enumerate(values)]
    for row, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ConfigError(
                f"identifiers has {kinds[0]} in row 0 and {kind} in row {row}; all must be of one "
                "type"
            )
    made = [_bytes(value, kinds[0], normalize) for value in values]
    _refuse_twice(made)
    return kinds[0], made


def _listed(identifiers: Any) -> Sequence[Any]:
    if identifiers is None or isinstance(identifiers, (str, bytes, dict, set)):
        raise ConfigError(
            f"identifiers is of type {type(identifiers).__name__}; it must be a list, array or "
            "column, whose order is that of the rows"
        )
    try:
        values = identifiers.tolist() if hasattr(identifiers, "tolist") else list(identifiers)
    except TypeError:
        values = None
    if not isinstance(values, list):
        raise ConfigError(
            f"identifiers is of type {type(identifiers).__name__}; it must be a list, array or "
            "column"
        )
    return values


def _kind(value: Any, row: int) -> str:
    if _is_missing(value):
        raise ConfigError(f"row {row} of identifiers is missing; every row must have one")
    if isinstance(value, int) and not isinstance(value, bool):
        return "int"
    for kind, known in (("str", str), ("bytes", bytes), ("UUID", uuid.UUID)):
        if isinstance(value, known):
            return kind
    hint = " (a column of integers with gaps is one of floats)" if isinstance(value, float) else ""
    raise ConfigError(
        f"row {row} of identifiers is of type {type(value).__name__}{hint}; it must be one of "
        f"{', '.join(KINDS)}"
    )


def _is_missing(value: Any) -> bool:
    if value is None or (isinstance(value, (str, bytes)) and not value):
        return True
    try:
        return bool(value != value)  # NaN and NaT
    except (TypeError, ValueError):
        return True  # pandas.NA, which is neither equal to itself nor different


def _bytes(value: Any, kind: str, normalize: str | None) -> bytes:
    if kind == "str":
        form: Any = normalize  # one of the forms, by check_normalization()
        text: str = value if form is None else unicodedata.normalize(form, value)
        return text.encode("utf-8", "surrogatepass")
    if kind == "UUID":
        value = value.bytes
    found: bytes = value if kind in ("bytes", "UUID") else str(value).encode()
    return found


def _refuse_twice(made: list[bytes]) -> None:
    first: dict[bytes, int] = {}
    for row, value in enumerate(made):
        other = first.setdefault(value, row)
        if other != row:
            raise ConfigError(
                f"identifiers is the same in rows {other} and {row}; each must occur once"
            )
