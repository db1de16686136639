# SPDX-License-Identifier: MIT
"""Tables of one party: CSV, Parquet or a pandas DataFrame as numbers, or why they are none.

No message holds a value. pandas (and pyarrow for Parquet) come with the extra `tables`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import session
from .data import check_source, cryptensor
from .errors import ConfigError, FileError, RangeError, ShapeError
from .io.agreement import agree, attempt
from .tensor import CrypTensor

_READERS = {".csv": "CSV", ".parquet": "Parquet", ".pq": "Parquet"}


def load_table(
    source: Any,
    src: int = 0,
    columns: Sequence[str] | None = None,
    *,
    rows: Any = None,
    dtype: torch.dtype | None = None,
) -> CrypTensor:
    """The numbers of a table of party `src` as a secret of shape (rows, columns).

    source: at src a pandas DataFrame or the path of a .csv, .parquet or .pq file; the other parties
      pass None.
    columns: names in the order wanted, at src; None: all, as they stand. bool, integer and floating
      columns are taken, pandas' nullable ones too.
    rows: positions from 0 in the order wanted, at src, such as what intersect() returns; None: all.
    dtype: as for cryptensor(). It is float32 if None, whatever the columns are.

    Public: how many rows and columns there are. Cost: a round for each party and two more. Raises,
    at every party, FileError for a file that is missing or cannot be read, ConfigError for another
    kind of source, an unknown column and a column that holds no numbers, RangeError for a missing
    or infinite value, ShapeError for a table without rows or columns; they name column, row and
    dtype at src, no value anywhere, and nothing but the party to the others.
    """
    engine: Any = session.current().engine
    check_source(engine, src)
    values, error = None, None
    if engine.rank == src:
        values, error = attempt(lambda: numbers(read_frame(source), columns, rows))
    agree(engine, "ct.load_table()", error)
    return cryptensor(values, src, dtype=dtype)


def read_frame(source: Any, text: Sequence[str] = ()) -> Any:
    """The DataFrame behind a source; columns in `text` are read from CSV as they are written.

    Raises ImportError without pandas, ConfigError and FileError as load_table().
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("tables need pandas: pip install 'cryptensor[tables]'") from error
    if isinstance(source, pandas.DataFrame):
        return source
    kind = _READERS.get(Path(source).suffix.lower()) if _is_path(source) else None
    if kind is None:
        known = ", ".join(_READERS)
        given = f"a path that ends in {Path(source).suffix!r}" if _is_path(source) else type(source)
        raise ConfigError(f"source is {given}; it must be a DataFrame or a path with {known}")
    try:
        if kind == "Parquet":
            return pandas.read_parquet(source)
        return pandas.read_csv(source, dtype=dict.fromkeys(text, str))
    except (OSError, ValueError) as error:
        # What a parser says may quote the file.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not readable"
        raise FileError(f"source {os.fspath(source)!r} is no {kind} table: {reason}") from None


def column(frame: Any, name: Any) -> Any:
    """One column. Raises ConfigError where there is none, or several, of that name."""
    _check_names(frame, [name])
    return frame[name]


def numbers(frame: Any, columns: Sequence[Any] | None, rows: Any = None) -> torch.Tensor:
    """Columns as float64 of shape (rows, columns). Errors as load_table()."""
    names = list(frame.columns) if columns is None else _listed(columns)
    _check_names(frame, names)
    picked = _positions(rows, len(frame))
    if not names or not len(frame):
        raise ShapeError(
            f"source has {len(frame)} rows and {len(names)} columns to take; it must have a row "
            "and a column or more"
        )
    made = [_numbers_of(frame[name], name) for name in names]
    table = torch.from_numpy(np.stack(made, axis=1))
    return table if picked is None else table[picked]


def _numbers_of(values: Any, name: Any) -> np.ndarray:
    # What is missing comes first: it turns a column of numbers into one of objects.
    gaps = values.isna().to_numpy()
    if gaps.any():
        raise RangeError(
            f"column {name!r} of dtype {values.dtype} has nothing in row {gaps.argmax()}; fill in "
            "what is missing or drop the row"
        )
    if getattr(values.dtype, "kind", "O") not in "biuf":
        kinds = (type(value) for value in values)
        bad = (i for i, kind in enumerate(kinds) if not issubclass(kind, (bool, int, float)))
        row = next(bad, 0)
        raise ConfigError(
            f"column {name!r} is of dtype {values.dtype}, with {type(values.iloc[row]).__name__} "
            f"in row {row}; it must hold numbers: encode or drop it"
        )
    found: np.ndarray = values.to_numpy(dtype=np.float64)
    endless = ~np.isfinite(found)
    if endless.any():
        raise RangeError(
            f"column {name!r} of dtype {values.dtype} is infinite in row "
            f"{endless.argmax()}; numbers must be finite"
        )
    return found


def _check_names(frame: Any, names: Sequence[Any]) -> None:
    for name in names:
        count = int((frame.columns == name).sum())
        if count != 1:
            have = ", ".join(map(repr, frame.columns[:20]))
            what = "is not there" if not count else f"is there {count} times"
            raise ConfigError(f"column {name!r} {what}; the columns are {have}")


def _listed(columns: Any) -> list[Any]:
    if isinstance(columns, (str, bytes)) or not hasattr(columns, "__iter__"):
        raise ConfigError(f"columns is {columns!r}; it must be None or a list of names")
    return list(columns)


def _positions(rows: Any, count: int) -> torch.Tensor | None:
    if rows is None:
        return None
    picked = torch.as_tensor(rows)
    if picked.dim() != 1 or picked.is_floating_point() or picked.dtype is torch.bool:
        raise ConfigError("rows is no list of positions; it must be None or integers from 0")
    if picked.numel() and not 0 <= int(picked.min()) <= int(picked.max()) < count:
        raise ConfigError(f"rows has a position outside the table, which has {count} rows")
    return picked


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike))
