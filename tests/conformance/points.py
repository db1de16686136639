# SPDX-License-Identifier: MIT
"""Where functions are tested: over the whole encodable range, dense where a table may be wrong."""

from __future__ import annotations

import math

import torch

COUNT = 100_000
RANGE_BITS = 62  # of an encodable element


def largest(precision: int) -> float:
    """The largest encodable number that a float64 holds exactly."""
    return 2.0 ** (RANGE_BITS - precision) - 2.0 ** (RANGE_BITS - precision - 53)


def points(
    breakpoints: tuple[float, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
    count: int = COUNT,
    precision: int = 16,
) -> torch.Tensor:
    """`count` encodable numbers of [low, high]: log-spaced over all of it, evenly spaced up to 20,
    one unit after the other around zero and the breakpoints."""
    unit, end = 2.0**-precision, largest(precision)
    low, high = max(low, -end), min(high, end)
    near = torch.arange(-250, 251, dtype=torch.float64) * unit
    parts = [b + near for b in (0.0, low, high, *breakpoints)]
    rest = count - sum(len(part) for part in parts)
    parts.append(torch.linspace(max(low, -20.0), min(high, 20.0), rest // 3, dtype=torch.float64))
    signs = [sign for sign in (-1, 1) if sign * (high if sign > 0 else low) > 0]
    for place, sign in enumerate(signs):
        least = max(unit, low if sign > 0 else -high)
        most = high if sign > 0 else -low
        number = rest - rest // 3 if place == 0 else (rest - rest // 3) // 2
        if len(signs) == 2 and place == 0:
            number -= (rest - rest // 3) // 2
        exponents = torch.linspace(math.log2(least), math.log2(most), number, dtype=torch.float64)
        parts.append(sign * 2.0**exponents)
    x = torch.cat(parts).clamp(low, high)
    return (x / unit).round().mul(unit).clamp(-end, end)
