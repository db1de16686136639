# SPDX-License-Identifier: MIT
"""join(): one table of the parts that the parties own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import session
from ..data import check_source, cryptensor
from ..errors import ConfigError, ShapeError


def join(
    *, rows: Any = None, columns: Any = None, parties: Sequence[int] | None = None
) -> torch.Tensor:
    """The parts of all parties as one secret table: below each other, or side by side.

    rows: this party's part where the parties have different rows of the same columns.
    columns: this party's part where they have different columns of the same rows, in the same
      order. A part has shape (rows, columns), or (rows,) for one target, which is a column of its
      own in `columns`. One of the two is given, and the same one at all parties.
    parties: the ranks that have a part, in the order of the parts; all of them by default. Others
      pass an empty list.
    Cost: a round for each part. Raises ConfigError for both or none, ShapeError at every party for
    parts that do not fit, and as ct.cryptensor() does for values that cannot be encoded.
    """
    if (rows is None) == (columns is None):
        raise ConfigError("join() needs this party's part as rows=... or as columns=..., not both")
    engine: Any = session.current().engine
    ranks = range(engine.parties) if parties is None else parties
    if not ranks or len(set(ranks)) < len(ranks):
        raise ConfigError(f"parties is {parties!r}; it must name at least one, and none twice")
    for rank in ranks:
        check_source(engine, rank)
    part = rows if columns is None else columns
    parts: list[torch.Tensor] = [
        cryptensor(part if engine.rank == rank else None, src=rank) for rank in ranks
    ]
    dim = 0 if columns is None else 1
    if dim:
        parts = [part.unsqueeze(1) if part.dim() == 1 else part for part in parts]
    shapes = [tuple(part.shape) for part in parts]
    kept = {shape[:dim] + shape[dim + 1 :] for shape in shapes}
    if len(kept) > 1 or not all(0 < len(shape) < 3 for shape in shapes):
        what = "rows" if dim else "columns"
        raise ShapeError(f"the parts have shapes {shapes}; they must have the same {what}")
    return torch.cat(parts, dim)
