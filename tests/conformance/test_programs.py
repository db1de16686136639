# SPDX-License-Identifier: MIT
"""Random programs of 5 to 30 operations: each value within the bound of its operations."""

from __future__ import annotations

import os
from collections import Counter

import torch
from engines import enter, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import RULES, SIZE, Builder

PROGRAMS = int(os.environ.get("CRYPTENSOR_PROGRAMS", "200"))


@st.composite
def programs(draw):
    parties = draw(st.sampled_from([2, 2, 3, 4]))
    provider = draw(st.sampled_from(["first_party", "third_party"]))
    precision = draw(st.sampled_from([8, 16, 16, 24]))
    # A party, shared (-1) or public (-2); all magnitudes that a few operations leave in the ring.
    owners = draw(st.lists(st.sampled_from([-1, -1, -2, 0, 1]), min_size=2, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    builder = Builder(draw, precision, parties)
    inputs = []
    for owner in owners:
        exponents = torch.randint(-6, 4, (SIZE, SIZE), generator=generator)
        normal = torch.randn(SIZE, SIZE, dtype=torch.float64, generator=generator)
        inputs.append(normal * 2.0**exponents)
        builder.enter(inputs[-1], owner == -2)
    wanted = draw(st.integers(5, 30))
    for _ in range(3 * wanted):
        if len(builder.steps) < wanted:
            builder.step()
    return builder, inputs, owners, parties, provider, precision


def describe(builder):
    return "; ".join(f"{step.name}{step.operands}" for step in builder.steps)


def run_program(engine, builder, inputs, owners):
    """Fraction bits and revealed value of everything the program makes."""
    values = []
    for given_values, owner in zip(inputs, owners, strict=True):
        if owner == -2:
            values.append(engine.public(given_values))
            continue
        entered = enter(engine, given_values, max(owner, 0))
        values.append(engine.share(entered) if owner == -1 else entered)
    for step in builder.steps:
        values.append(step.apply(engine, *[values[i] for i in step.operands]))
    out = []
    for value in values:
        # Floored exactly, so that revealing adds no error of its own.
        pending = value.fraction_bits - engine.precision
        shown = engine.truncate(value, pending, "exact") if pending > 0 else value
        out.append((value.fraction_bits, engine.reveal(shown)))
    return out


def check_value(bits, value, expected, precision, where):
    assert bits == expected.secret.fraction_bits
    place = 2.0 ** -min(precision, bits)
    floor = (expected.exact / place).floor() * place
    # Where the values differ, their floors may be a place further apart; and the bound itself
    # and a value of more than 53 bits are rounded.
    slack = place * (expected.bound > 0) + 2.0**-50 * (expected.exact.abs() + expected.bound)
    assert ((value - floor).abs() <= expected.bound + slack).all(), where


def test_programs():
    seen: Counter = Counter()

    @settings(max_examples=PROGRAMS, suppress_health_check=list(HealthCheck))
    @given(programs())
    def check(program):
        builder, inputs, owners, parties, provider, precision = program
        results = run(
            lambda engine: run_program(engine, builder, inputs, owners),
            parties,
            provider,
            precision=precision,
        )
        for number, expected in enumerate(builder.values):
            where = f"value {number} of {describe(builder)}"
            check_value(*results[0][number], expected, precision, where)
            for other in results[1:]:
                assert torch.equal(other[number][1], results[0][number][1])
        seen.update(step.name for step in builder.steps)
        seen["steps"] += len(builder.steps)
        seen["programs"] += 1

    check()
    # Programs would prove little if some operation never came up.
    assert seen["steps"] >= 8 * seen["programs"]
    assert {rule.name for rule in RULES} <= set(seen)
