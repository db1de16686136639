# SPDX-License-Identifier: MIT
"""How likely uniform random bytes would look as uneven as a message does."""

from __future__ import annotations

import numpy as np
import torch

# A message with a smaller p is a leak.
ALARM = 5e-8
LEAST_BYTES = 3072  # what one message needs for a verdict


def _p_value(statistic: np.ndarray | float, degrees: int) -> np.ndarray:
    halves = torch.as_tensor(statistic, dtype=torch.float64) / 2
    return torch.special.gammaincc(torch.tensor(degrees / 2, dtype=torch.float64), halves).numpy()


def _bytes_p(words: np.ndarray) -> tuple[float, int]:
    """The least p of the values of a byte, by its place in a word where the message is long."""
    raw = words.view(np.uint8).reshape(-1, 8)
    places = 8 if len(raw) >= 32 * 256 else 1
    codes = raw.astype(np.uint16)
    if places == 8:
        codes += np.arange(0, 8 * 256, 256, dtype=np.uint16)
    counts = np.bincount(codes.reshape(-1), minlength=256 * places).reshape(places, 256)
    expected = raw.size / places / 256
    statistic = ((counts - expected) ** 2).sum(axis=1) / expected
    return float(_p_value(statistic, 255).min()), places


def _bits_p(words: np.ndarray) -> float:
    """The p of how often each bit of a word is set: weak masks of packed bits show here."""
    raw = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    ones = raw.sum(axis=0, dtype=np.int64)
    n = len(words)
    return float(_p_value(((ones - n / 2) ** 2).sum() / (n / 4), 64))


def p_value(words: np.ndarray) -> float:
    """For uint64 words that should be uniform; corrected for the several looks at them."""
    if words.nbytes < LEAST_BYTES:
        raise ValueError(f"{words.nbytes} bytes are too few for a verdict")
    of_bytes, places = _bytes_p(words)
    few = words[: 1 << 14]
    return min(1.0, min(of_bytes, _bits_p(few)) * (places + 1))


def words_of(payload: bytes) -> np.ndarray:
    """The payload as words of the ring; bytes that fill no word are left out."""
    return np.frombuffer(payload, dtype=np.uint64, count=len(payload) // 8)
