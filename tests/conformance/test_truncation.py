# SPDX-License-Identifier: MIT
"""Each truncation stays within its bound, uses both ends of it, and fails as often as it says."""

from __future__ import annotations

import math

import pytest
import torch
from elements import of_all_magnitudes, pending, settled
from engines import CONFIGURATIONS, C, run

COUNT = 1 << 15


def truncated(elements, bits, kind, parties=2, provider="first_party", precision=16, make=pending):
    """The ring elements of the result, by party; they must have at most 53 bits."""

    def body(engine):
        x = make(engine, elements)
        out = engine.truncate(x, bits, kind)
        assert out.fraction_bits == x.fraction_bits - bits
        left = out.fraction_bits - engine.precision
        value = engine.reveal(engine.truncate(out, left, "exact") if left > 0 else out)
        return value * 2.0 ** min(out.fraction_bits, engine.precision)

    results = run(body, parties, provider, precision=precision)
    for result in results[1:]:
        assert torch.equal(result, results[0])
    return results[0].to(torch.int64)


def floor(elements, bits):
    return elements >> bits


@pytest.mark.parametrize(("parties", "provider"), CONFIGURATIONS)
@pytest.mark.parametrize("kind", ["one_bit", "interactive", "exact"])
@pytest.mark.parametrize(("precision", "bits"), [(8, 8), (16, 16), (24, 24), (24, 32)])
def test_bounds(kind, bits, precision, parties, provider):
    if kind == "one_bit" and parties > 2:
        kind = "interactive"  # what the default becomes
    x = of_all_magnitudes(COUNT // 2, min(62, bits + 45), seed=bits)
    off = truncated(x, bits, kind, parties, provider, precision) - floor(x, bits)
    low, high = {"one_bit": (0, 1), "interactive": (0, 1), "exact": (0, 0)}[kind]
    # Both ends are met: a bound that is wider than the truth would hide errors.
    assert (int(off.min()), int(off.max())) == (low, high)


@pytest.mark.parametrize("kind", ["one_bit", "interactive", "exact"])
@pytest.mark.parametrize("bits", [1, 7, 15, 16])
def test_settled_values_lose_any_number_of_bits(kind, bits):
    x = of_all_magnitudes(COUNT // 2, 46, seed=bits)
    off = truncated(x, bits, kind, make=settled) - floor(x, bits)
    low, high = {"one_bit": (0, 1), "interactive": (0, 1), "exact": (0, 0)}[kind]
    assert (int(off.min()), int(off.max())) == (low, high)


def test_local_is_off_by_one_at_most_where_it_does_not_fail():
    x = of_all_magnitudes(COUNT // 2, 30, seed=5)  # 2^15 elements fail with probability 2^-19
    off = truncated(x, 16, "local") - floor(x, 16)
    assert -1 <= off.min() and off.max() <= 1 and off.min() < off.max()


@pytest.mark.parametrize("magnitude_bits", [58, 60, 61])
def test_local_fails_as_often_as_it_says(magnitude_bits):
    """With probability |x| / 2^64 the result is wrong by 2^(64 - f)."""
    x = torch.full((COUNT,), 2**magnitude_bits)
    x[::2] = -x[::2]
    off = truncated(x, 16, "local") - floor(x, 16)
    failed = off.abs() > 1
    assert ((off.abs()[failed] - 2**48).abs() <= 1).all()
    rate = 2.0 ** (magnitude_bits - 64)
    deviation = (int(failed.sum()) - COUNT * rate) / math.sqrt(COUNT * rate * (1 - rate))
    assert abs(deviation) < 6


@pytest.mark.parametrize("kind", ["one_bit", "interactive"])
def test_the_error_is_that_of_the_remainder(kind):
    """A multiple of 2^f has no remainder and stays what it is."""
    remainders = torch.arange(0, 2**16, 2**12).repeat_interleave(4096)
    x = (torch.arange(remainders.numel()) - 30_000 << 16) + remainders
    off = (truncated(x, 16, kind) - floor(x, 16)).abs().to(torch.float64)
    rates = off.reshape(16, 4096).mean(1)
    # The number above the floor comes as often as it is nearer, so that the mean error is 0.
    share = remainders.reshape(16, 4096)[:, 0] / 2.0**16
    assert (rates - share).abs().max() < 6 * math.sqrt(0.25 / 4096)


@pytest.mark.parametrize("factor", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("kind", ["one_bit", "interactive"])
def test_shares_without_low_bits_round_alike(kind, factor):
    """A public factor that is whole leaves shares divisible by 2^f, and the product exact."""
    x = of_all_magnitudes(COUNT // 2, 40, seed=11)

    def body(engine):
        share = settled(engine, x)
        whole = engine.public(torch.full((1,), factor, dtype=torch.float64))
        product = engine.truncate(engine.mul(share, whole), 16, kind)
        return (engine.reveal(product) * 2.0**16).to(torch.int64)

    off = run(body, 2)[0] - (x * int(factor))
    assert set(off.tolist()) <= {0, 1}
    # Once in 2^16.
    assert off.double().mean() < 2.0**-12


@pytest.mark.parametrize("kind", ["local", "one_bit"])
def test_kinds_for_two_parties_are_refused_with_more(kind):
    def body(engine):
        with pytest.raises(C.ConfigError, match="allowed are interactive and exact"):
            engine.truncate(settled(engine, torch.arange(3)), 4, kind)
        return True

    assert run(body, 3) == [True] * 3


def test_the_truncation_of_a_session_is_the_default_of_its_settlements():
    x = of_all_magnitudes(1000, 60, seed=9)

    def body(engine):
        a = pending(engine, x)
        engine.reset_stats()
        engine.settle(a)
        return [row["rounds"] for row in engine.stats()]

    rounds = {
        kind: run(body, truncation=kind)[0] for kind in ("default", "local", "interactive", "exact")
    }
    assert rounds == {"default": [1], "local": [0], "interactive": [1], "exact": [3]}
