# SPDX-License-Identifier: MIT
"""How likely two messages would look as different as they do if nothing told them apart."""

from __future__ import annotations

import numpy as np
import torch


def p_value(first: np.ndarray, second: np.ndarray) -> float:
    """The least p of a chi-square test of homogeneity over the places of a byte in a word, and
    over the bits of a word; corrected for the several looks."""
    a, b = (words.view(np.uint8).reshape(-1, 8) for words in (first, second))
    least = 1.0
    # Values of a byte need a few thousand of each; bits tell with less.
    if len(a) >= 32 * 256:
        counts = [_counts(raw) for raw in (a, b)]
        least = min(least, 9 * _homogeneous(*counts).min())
    bits = [np.unpackbits(raw, axis=1).sum(axis=0, dtype=np.int64) for raw in (a, b)]
    tables = [np.stack([ones, len(a) - ones], axis=1) for ones in bits]
    return float(min(1.0, least, 9 * 64 * _homogeneous(*tables).min()))


def _counts(raw: np.ndarray) -> np.ndarray:
    codes = raw.astype(np.uint16) + np.arange(0, 8 * 256, 256, dtype=np.uint16)
    return np.bincount(codes.reshape(-1), minlength=8 * 256).reshape(8, 256)


def _homogeneous(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The p of each row, for samples of equal size."""
    both = a + b
    seen = both > 0
    terms = np.where(seen, (a - b) ** 2 / np.maximum(both, 1), 0.0)
    degrees = torch.from_numpy(np.maximum(seen.sum(axis=1) - 1, 1) / 2.0)
    p = torch.special.gammaincc(degrees, torch.from_numpy(terms.sum(axis=1) / 2)).numpy()
    return np.where(seen.sum(axis=1) > 1, p, 1.0)
