# SPDX-License-Identifier: MIT
"""Comparisons are exact: at zero, a last place away from it, at the bounds, at all magnitudes."""

from __future__ import annotations

import pytest
import torch
from elements import of_all_magnitudes, pending, settled
from engines import ALL, run, to_ulps

each_configuration = pytest.mark.parametrize(("parties", "provider"), ALL)
each_precision = pytest.mark.parametrize("precision", [8, 16, 24])


@each_precision
@each_configuration
def test_encodable_values(parties, provider, precision):
    x, y = (of_all_magnitudes(2000, 62, seed) for seed in (1, 2))
    y[::7] = x[::7]  # equal ones too
    y[1::7], y[2::7] = x[1::7] + 1, x[2::7] - 1
    y = y.clamp(-(2**62) + 1, 2**62 - 1)

    def body(engine):
        a, b = settled(engine, x, 0), settled(engine, y, 1)
        bits = [engine.ltz(a), engine.at_least_zero(a), engine.ltz(engine.sub(a, b))]
        values = [engine.relu(a), *engine.relu_with_sign(a), engine.maximum(a, b)]
        bits.append(values.pop(2))
        return [[engine.reveal(v) for v in group] for group in (bits, values)]

    right_bits = [x < 0, x >= 0, x < y, x >= 0]
    right_values = [x.clamp_min(0), x.clamp_min(0), torch.maximum(x, y)]
    for bits, values in run(body, parties, provider, precision=precision):
        for got, right in zip(bits, right_bits, strict=True):
            assert torch.equal(got, right.to(torch.float64))
        for got, right in zip(values, right_values, strict=True):
            # Both are rounded to a float64 where they have more bits.
            assert torch.equal(got * 2.0**precision, right.to(torch.float64))


@each_precision
@each_configuration
def test_pending_values(parties, provider, precision):
    """Signs are right up to 2^63, a ReLU that truncates as well up to 2^62."""
    bits = min(62, 52 + precision)  # a float64 takes the result
    x = of_all_magnitudes(2000, bits, 3)

    def body(engine):
        a = pending(engine, x)
        twice = engine.add(a, a)
        results = [engine.ltz(a), engine.ltz(twice), engine.at_least_zero(engine.neg(a))]
        return [engine.reveal(v) for v in (*results, engine.relu(a))]

    right = x.clamp_min(0) >> precision
    for less, twice_less, at_most, relu in run(body, parties, provider, precision=precision):
        assert torch.equal(less == 1, x < 0)
        assert torch.equal(twice_less == 1, x < 0)
        assert torch.equal(at_most == 1, x <= 0)
        off = to_ulps(relu, precision) - right
        assert (off.min(), off.max()) == (0, 1)
        assert (relu[x < 0] == 0).all()


@each_configuration
def test_zero_is_zero_whatever_the_shares(parties, provider):
    """Many sharings of 0 and of one last place to both sides of it."""
    x = torch.tensor([0, 1, -1]).repeat_interleave(5000)

    def body(engine):
        a = settled(engine, x)
        return engine.reveal(engine.at_least_zero(a)), engine.reveal(engine.relu(a))

    for bits, relu in run(body, parties, provider):
        assert torch.equal(bits == 1, x >= 0)
        assert torch.equal(to_ulps(relu), x.clamp_min(0))
