# SPDX-License-Identifier: MIT
"""The judge itself: its p-values are what they say, and it sees each kind of weak mask alone."""

from __future__ import annotations

import os

import numpy as np
import pytest
from protocols import ELEMENTS
from uniformity import ALARM, LEAST_BYTES, p_value, words_of

SECRET = np.uint64(3 << 16)


def random_words(n: int = ELEMENTS) -> np.ndarray:
    return words_of(os.urandom(8 * n))


@pytest.mark.parametrize("n", [LEAST_BYTES // 8, 1024, ELEMENTS])
def test_p_values_of_random_bytes_are_uniform_or_larger(n):
    values = np.array([p_value(random_words(n)) for _ in range(300 if n == ELEMENTS else 1500)])
    for level in (0.3, 0.1, 0.03, 0.01):
        expected = level * len(values)
        assert (values < level).sum() < expected + 6 * np.sqrt(expected)
    # They are corrected for looking several times, not for being sure never to alarm.
    assert (values < 0.5).sum() > 0.2 * len(values)
    assert values.min() > ALARM


def weak(name: str, mask: np.ndarray) -> np.ndarray:
    made = {
        "zero": lambda: np.zeros_like(mask),
        "32 bits": lambda: mask & np.uint64(2**32 - 1),
        "63 bits": lambda: mask >> np.uint64(1),
        "even": lambda: mask & ~np.uint64(1),
        "one percent unmasked": lambda: np.where(np.arange(len(mask)) % 100 == 0, 0, mask),
        "broadcast": lambda: np.broadcast_to(mask[:1], mask.shape),
    }
    return made[name]().astype(np.uint64)


@pytest.mark.parametrize(
    "name", ["zero", "32 bits", "63 bits", "even", "one percent unmasked", "broadcast"]
)
def test_weak_masks_are_seen_every_time(name):
    for _ in range(20):
        assert p_value(weak(name, random_words()) + SECRET) < ALARM


@pytest.mark.parametrize("name", ["zero", "32 bits", "63 bits", "even", "broadcast"])
def test_weak_masks_of_packed_bits_are_seen(name):
    """A plane of one bit of each element is an eighth of a byte for an element."""
    for _ in range(20):
        assert p_value(weak(name, random_words(ELEMENTS // 64))) < ALARM


def test_too_little_for_a_verdict_is_refused():
    with pytest.raises(ValueError, match="too few"):
        p_value(random_words(LEAST_BYTES // 8 - 1))
