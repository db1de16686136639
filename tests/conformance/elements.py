# SPDX-License-Identifier: MIT
"""Secrets whose ring elements are given, over the whole range of a pending product."""

from __future__ import annotations

import torch
from engines import enter

_SPLIT = 31
_LOW = (1 << _SPLIT) - 1


def settled(engine, elements: torch.Tensor, src: int = 0):
    """Shares of any encodable elements, below 2^62 in magnitude, with the usual fraction bits."""
    low = elements.abs() & _LOW  # apart, as a float64 has 53 bits
    total = None
    for part in (elements.abs() - low, low):
        values = (elements.sign() * part).to(torch.float64) / 2.0**engine.precision
        entered = enter(engine, values, src)
        total = entered if total is None else engine.add(total, entered)
    return engine.share(total)


def pending(engine, elements: torch.Tensor, src: int = 0):
    """Shares of any elements below 2^63 in magnitude, with twice the usual fraction bits."""
    unit = torch.tensor(2.0**-engine.precision, dtype=torch.float64)
    high = enter(engine, (elements >> _SPLIT) * unit, src)
    low = enter(engine, (elements & _LOW) * unit, src)
    step, one = engine.public(unit * 2.0**_SPLIT), engine.public(unit)
    return engine.share(engine.add(engine.mul(high, step), engine.mul(low, one)))


def of_all_magnitudes(count: int, bits: int, seed: int) -> torch.Tensor:
    """Elements below 2^bits in magnitude: around zero and every power of two, then at random."""
    generator = torch.Generator().manual_seed(seed)
    powers = 2 ** torch.arange(bits)
    near = torch.cat([powers - 1, powers, powers + 1])
    width = torch.randint(0, bits, (count,), generator=generator)
    random = torch.randint(2**61, 2**62, (count,), generator=generator) >> (61 - width)
    positive = torch.cat([near[near < 2**bits], random, torch.tensor([2**bits - 1])])
    return torch.cat([positive, -positive])
