# SPDX-License-Identifier: MIT
"""Every operation, for all numbers of parties and providers: right, at just its declared cost."""

from __future__ import annotations

import pytest
import torch
from engines import (
    ALL,
    NOTHING,
    STORED,
    C,
    declared,
    enter,
    is_replicated,
    measured,
    oracle,
    run,
    to_ulps,
)
from function_operations import FUNCTIONS
from operations import OPERATIONS, PUBLIC, SHARED

cost = C.cost
SETTINGS = [(parties, provider, 16) for parties, provider in ALL + STORED]
SETTINGS += [(2, "first_party", 8), (2, "third_party", 24), (3, "first_party", 24)]
SETTINGS += [(3, "replicated", 24)]


def applies(operation, parties, provider="first_party"):
    of_two = any(kind in operation.name for kind in ("_local_", "_one_bit_"))
    return parties == 2 or provider == "replicated" or not of_two


CASES = [
    pytest.param(operation, *setting, id="-".join([operation.name, *map(str, setting)]))
    for operation in OPERATIONS + FUNCTIONS
    for setting in SETTINGS
    if applies(operation, *setting[:2])
]


def place(engine, operand, values):
    """The operand at an engine; the oracle has no owners."""
    if operand.owner == PUBLIC:
        return engine.public(values)
    entered = enter(engine, values, max(operand.owner, 0))
    return engine.share(entered) if operand.owner == SHARED else entered


def in_full(engine, x):
    """The revealed value of x, floored without an error of its own when it is pending."""
    bits = x.fraction_bits - engine.precision
    return engine.reveal(engine.truncate(x, bits, "exact") if bits > 0 else x)


def compute(engine, operation, values):
    operands = [place(engine, *pair) for pair in zip(operation.operands, values, strict=True)]
    operands = operation.prepare(engine, *operands)
    engine.reset_stats()
    result = operation.apply(engine, *operands)
    rows = engine.stats()
    return in_full(engine, result), result.fraction_bits, rows


@pytest.mark.parametrize(("operation", "parties", "provider", "precision"), CASES)
def test_operation(operation, parties, provider, precision):
    torch.manual_seed(len(operation.name))
    values = [3 * torch.randn(operand.shape, dtype=torch.float64) for operand in operation.operands]
    expected, bits, _ = oracle(lambda e: compute(e, operation, values), precision=precision)

    def body(engine):
        value, fraction_bits, rows = compute(engine, operation, values)
        total = [sum(row[key] for row in rows) for key in ("rounds", "bytes_sent", "dealer_bytes")]
        received = sum(row["bytes_received"] for row in rows)
        promised = declared(engine, *operation.cost(engine))
        errors = *operation.error(engine), operation.relative(engine)
        return value, fraction_bits, tuple(total), received, promised, errors

    results = run(body, parties, provider, precision=precision)
    last_place = min(precision, bits)
    for value, fraction_bits, paid, _, promised, (low, high, relative) in results:
        assert fraction_bits == bits
        assert value.shape == expected.shape
        off = to_ulps(value, last_place) - to_ulps(expected, last_place)
        more = relative * to_ulps(expected, last_place).abs()
        assert (low - more <= off).all() and (off <= high + more).all()
        assert paid == promised
    assert sum(r[2][1] for r in results) == sum(r[3] for r in results)  # sent and received


@pytest.mark.parametrize(("parties", "provider"), ALL)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 511, 512, 513, 1100])
def test_costs_of_bit_sliced_protocols_at_the_borders_of_words_and_blocks(n, parties, provider):
    values = torch.linspace(-2, 2, n, dtype=torch.float64)

    def body(engine):
        x = engine.share(enter(engine, values))
        one = engine.public(torch.ones((), dtype=torch.float64))
        calls = [
            (lambda: engine.relu(x), cost.relu(n, engine, 0)),
            (lambda: engine.relu(engine.mul(x, one)), cost.relu(n, engine, 16)),
            (lambda: engine.at_least_zero(x), cost.at_least_zero(n, engine)),
            (lambda: engine.truncate(x, 7, "exact"), cost.truncate("exact", n, engine, 7)),
        ]
        if parties == 2 or provider == "replicated":
            calls.append(
                (lambda: engine.truncate(x, 7, "one_bit"), cost.truncate("one_bit", n, engine, 7))
            )
        out = []
        for call, promised in calls:
            engine.reset_stats()
            result = call()
            out.append((measured(engine), declared(engine, promised), engine.reveal(result)))
        return out

    for results in run(body, parties, provider):
        for paid, promised, _ in results:
            assert paid == promised
        relu, fused, sign, floored = (value for _, _, value in results[:4])
        assert torch.equal(relu, torch.clamp_min(values * 2**16, 0).round() / 2**16)
        assert ((fused - relu).abs() <= 2.0**-16).all()
        assert torch.equal(sign == 1, values >= 0)
        assert torch.equal(floored, (values * 2**16).round().div(2**7).floor() / 2**9)


def announced(*shapes, parties):
    size = 4 + 1 + 4 + sum(1 + 8 * len(shape) for shape in shapes)
    return {"rounds": 1, "bytes_sent": size * (parties - 1), "dealer_bytes": 0}


@pytest.mark.parametrize(("parties", "provider"), ALL)
def test_costs_of_values_coming_in_and_going_out(parties, provider):
    values = torch.arange(12, dtype=torch.float64).reshape(3, 4)

    def body(engine):
        me = engine.rank
        shares, known, public = engine.share(enter(engine, values)), enter(engine, values, 1), None
        public = engine.public(values)
        shapes = [(3, 4), (), (5,)]

        def several():
            return engine.input_many([torch.zeros(s) if me == 0 else list(s) for s in shapes], 0)

        to_all, to_one = cost.reveal(12, parties), cost.reveal(12, 2)
        of_shares = [to_all, {**to_one, "bytes_sent": 96 * (me != 1)}]
        if is_replicated(engine):
            of_shares = [cost.replicated_reveal(12, cost.PAIR, False, dst, me) for dst in (None, 1)]
        calls = [
            (lambda: enter(engine, values), announced((3, 4), parties=parties)),
            (several, announced(*shapes, parties=parties)),
            (lambda: engine.reveal(shares), of_shares[0]),
            (lambda: engine.reveal(shares, 1), of_shares[1]),
            (
                lambda: engine.reveal(known),
                {**to_all, "bytes_sent": 96 * (parties - 1) * (me == 1)},
            ),
            (lambda: engine.reveal(known, 0), {**to_one, "bytes_sent": 96 * (me == 1)}),
            (lambda: engine.reveal(known, 1), NOTHING),
            (lambda: engine.reveal(public), NOTHING),
            (lambda: engine.reveal(public, 0), NOTHING),
        ]
        out = []
        for call, promised in calls:
            engine.reset_stats()
            out.append((call(), measured(engine), declared(engine, promised)))
        return out

    for rank, results in enumerate(run(body, parties, provider)):
        for _, paid, promised in results:
            assert paid == promised
        learners = [None, None, range(parties), [1], range(parties), [0], [1], range(parties), [0]]
        for (value, _, _), who in zip(results, learners, strict=True):
            if who is not None:
                assert (value is not None) == (rank in who)
                assert value is None or torch.equal(value, values)
