# SPDX-License-Identifier: MIT
"""F.embedding_bag: rows of a table, looked up as by F.embedding and added up by public bags."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from ..aten.indexing import public_index
from ..aten.selection import is_secret
from ..errors import ConfigError, ShapeError, UnsupportedOperation
from ..tensor import FUNCTIONS


def _bag_of_each(input: Any, offsets: Any, include_last_offset: bool) -> tuple[torch.Tensor, int]:
    """The number of the bag that each entry belongs to, and how many bags there are."""
    if input.dim() == 2:
        if offsets is not None:
            raise ShapeError("embedding_bag: offsets must be None for an input of two dimensions")
        return torch.arange(input.shape[0]).repeat_interleave(input.shape[1]), input.shape[0]
    if input.dim() != 1 or offsets is None or offsets.dim() != 1:
        raise ShapeError(
            f"embedding_bag: the input has {input.dim()} dimensions; it must have two, or one and "
            "offsets of one dimension"
        )
    starts = public_index("embedding_bag by its offsets", offsets)
    if include_last_offset:
        starts = starts[:-1]
    entries = torch.arange(input.shape[0])
    return torch.searchsorted(starts.contiguous(), entries, right=True) - 1, len(starts)


def _embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Positions may be secret; the bags (offsets, shapes) are public. No cost beyond F.embedding's
    but for mode "max", which compares.

    Raises UnsupportedOperation for max_norm, scale_grad_by_freq, sparse, and padding_idx with
    secret positions.
    """
    if mode not in ("sum", "mean", "max"):
        raise ConfigError(f"embedding_bag: mode is {mode!r}; it must be sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise UnsupportedOperation(f"embedding_bag with per_sample_weights and mode={mode!r}")
    for name, given in (
        ("max_norm", max_norm is not None),
        ("scale_grad_by_freq", scale_grad_by_freq),
        ("sparse", sparse),
        ("padding_idx and secret positions", padding_idx is not None and is_secret(input)),
    ):
        if given:
            raise UnsupportedOperation(f"embedding_bag with {name}")
    bags, count = _bag_of_each(input, offsets, include_last_offset)
    positions = input.reshape(-1)
    weights = None if per_sample_weights is None else per_sample_weights.reshape(-1, 1)
    if padding_idx is not None:
        kept = public_index("embedding_bag", positions) != padding_idx % weight.shape[0]
        positions, bags = positions[kept], bags[kept]
        weights = None if weights is None else weights[kept]
    rows = F.embedding(positions, weight)
    if mode == "max":
        return _maxima(rows, bags, count)
    if weights is not None:
        rows = rows * weights
    total = rows.new_zeros(count, rows.shape[1]).index_add(0, bags, rows)
    if mode == "sum":
        return total
    sizes = bags.bincount(minlength=count).clamp(min=1)
    return total * (1 / sizes.to(weight.dtype)).unsqueeze(1)


def _maxima(rows: Any, bags: torch.Tensor, count: int) -> Any:
    """Every bag's largest entries, zeros for an empty bag."""
    sizes = bags.bincount(minlength=count)
    starts = sizes.cumsum(0) - sizes
    filled = sizes > 0
    places = torch.arange(int(sizes.max()) if len(rows) else 0)
    # A shorter bag repeats its first entry, which changes no maximum.
    places = torch.where(places < sizes[filled, None], places, 0) + starts[filled, None]
    result = rows.new_zeros(count, rows.shape[1])
    if not bool(filled.any()):
        return result
    return result.index_add(0, filled.nonzero().flatten(), rows[places].max(1).values)


FUNCTIONS[F.embedding_bag] = _embedding_bag
