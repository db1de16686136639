# SPDX-License-Identifier: MIT
"""Growing one tree from secret histograms, level by level."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from ..errors import ConfigError
from .forest import Forest


def check_binning(binning: Any) -> None:
    """ConfigError for what is no way to choose thresholds."""
    if binning not in ("quantile", "uniform"):
        raise ConfigError(f"binning is {binning!r}; it must be 'quantile' or 'uniform'")


def grown(rows: Any, targets: Any, depth: int, bins: int, binning: str) -> Forest:
    """A complete tree of `depth` levels with secret splits, for targets (rows, K).

    At each level one matrix product gives the sums of all targets on the left of all splits at all
    nodes; the split of a node is the first one with the largest sum of squared means.
    """
    count, features = rows.shape
    edges = _edges(rows, bins, binning)  # (features, splits)
    splits = edges.shape[1]
    # Whether a row lies left of a split; opened once under one mask for all levels.
    left = (rows.unsqueeze(2) < edges).to(torch.float64).flatten(1)
    # A column of ones counts; the sums of K targets and the counts travel together.
    weighted = torch.cat([targets, torch.ones((count, 1), dtype=targets.dtype)], 1)
    members: Any = torch.ones((count, 1), dtype=torch.float64)
    means: Any = _means(weighted.sum(0, keepdim=True))
    chosen = []
    for _ in range(depth):
        nodes = members.shape[1]
        parts = (members.unsqueeze(2) * weighted.unsqueeze(1)).flatten(1)
        below = (parts.t() @ left).reshape(nodes, -1, features * splits)
        totals = parts.sum(0).reshape(nodes, -1, 1)
        gains = _squares(below) + _squares(totals - below)
        marks = F.one_hot(gains.argmax(1), features * splits).to(torch.float64)
        chosen.append(marks)
        to_left = members * (left @ marks.t())
        members = torch.stack([to_left, members - to_left], 2).flatten(1)
        # Of a leaf without rows: the mean of the node above it.
        sums = members.t() @ weighted
        empty = sums[:, -1:] < 0.5
        means = torch.where(empty, means.repeat_interleave(2, 0), _means(sums))
    marks = torch.cat(chosen).reshape(-1, features, splits)
    select = marks.sum(2).t()
    thresholds = (marks * edges).sum((1, 2))
    paths, lefts = _complete(depth)
    return Forest(select, thresholds, paths, lefts, means, depth)


def _means(sums: Any) -> Any:
    return sums[:, :-1] / sums[:, -1:]


def _squares(sums: Any) -> Any:
    """The sum of targets times their mean, over all targets: (nodes, splits)."""
    values, counts = sums[:, :-1], sums[:, -1:]
    # The mean first: it is small, while a square of the sum might leave the range.
    return (values * (values / counts)).sum(1)


def _edges(rows: Any, bins: int, binning: str) -> Any:
    """Thresholds (features, bins - 1); a row that equals one lies to its right."""
    if binning == "uniform":
        low, high = rows.amin(0).unsqueeze(1), rows.amax(0).unsqueeze(1)
        return low + (high - low) * (torch.arange(1, bins, dtype=torch.float64) / bins)
    count = len(rows)
    ordered = rows.sort(0).values
    places = torch.arange(1, bins) * count // bins
    # Halfway between neighbours, as scikit-learn does.
    lower = ordered[(places - 1).clamp(min=0)]
    return ((lower + ordered[places]) / 2).t()


def _complete(depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Public paths and lefts of a complete tree whose nodes are numbered level by level."""
    leaves = torch.arange(2**depth)
    paths = torch.zeros(1, 2**depth - 1, 2**depth, dtype=torch.int64)
    lefts = torch.zeros(1, 2**depth, dtype=torch.int64)
    for level in range(depth):
        nodes = 2**level - 1 + (leaves >> (depth - level))
        right = (leaves >> (depth - level - 1)) & 1
        paths[0, nodes, leaves] = 2 * right - 1
        lefts[0] += 1 - right
    return paths, lefts
