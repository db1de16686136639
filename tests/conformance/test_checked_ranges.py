# SPDX-License-Identifier: MIT
"""Checked mode: a sum or product that leaves the range raises on every party, no other one does.

At f fraction bits a value is below 2^(62 - f) and a product below 2^(62 - 2f).
"""

from __future__ import annotations

import pytest
import torch
from engines import C, enter, run

LIMIT = 2.0**46
PRODUCT = 2.0**30
ULP = 2.0**-16
CONFIGURATIONS = [(2, "first_party"), (2, "third_party"), (3, "first_party")]


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def add(e, x, y):
    return e.add(x, y)


def sub(e, x, y):
    return e.sub(x, y)


def mul(e, x, y):
    return e.mul(x, y)


def matmul(e, x, y):
    return e.matmul(x, y)


def square(e, x, y):
    return e.square(x)


def total(e, x, y):
    return e.sum(x, [], False)


def total_of_rows(e, x, y):
    return e.sum(x.rearrange(lambda s: s.reshape(2, -1)), [1], True)


def running(e, x, y):
    return e.cumsum(x, 0)


def scaled(factor):
    return lambda e, x, y: e.scale(x, factor)


def added(number):
    return lambda e, x, y: e.add(x, e.public(f64(number)))


def times_public(e, x, y):
    return e.mul(x, e.public(f64(1.0, 2.0**20)))


def convolved(e, x, y):
    image = x.rearrange(lambda s: s.reshape(1, 1, -1))
    return e.conv(image, y.rearrange(lambda s: s.reshape(1, 1, -1)), [1], [0], [1], 1)


def pending_plus(e, x, y):
    return e.add(e.mul(x, y), x)


def integers(e, x, y):
    """Comparison bits counted up to a large integer, squared: raised by 16 bits some day."""
    bit = e.at_least_zero(x)
    return e.square(e.scale(bit, 2.0**24))


BIG, HALF = LIMIT - 1, LIMIT / 2
# operation, x, y; each with one value outside among others inside
OUTSIDE = {
    "add": (add, f64(1, HALF), f64(2, HALF)),
    "add at the very end": (add, f64(1, BIG), f64(1, BIG)),
    "add of negatives": (add, f64(1, -HALF), f64(2, -HALF - 1)),
    "add a public number": (added(HALF), f64(1, HALF), f64(0, 0)),
    "sub": (sub, f64(1, HALF), f64(2, -HALF)),
    "sum": (total, f64(HALF, HALF, HALF, HALF), f64(0)),
    "sum that wraps to zero": (total, f64(*[HALF] * 8), f64(0)),
    "sum of rows": (total_of_rows, f64(1, 2, HALF, HALF), f64(0)),
    "cumsum": (running, f64(HALF, HALF, -HALF), f64(0)),
    "scale": (scaled(3.0), f64(1, HALF), f64(0)),
    "scale by a fraction": (scaled(-0.7), f64(1, LIMIT - 1), f64(0)),
    "mul": (mul, f64(1, 2.0**15), f64(1, 2.0**15)),
    "mul wrapping to zero": (mul, f64(1, 2.0**20), f64(1, 2.0**20)),
    "mul wrapping to something small": (mul, f64(1, 2.0**16), f64(1, 2.0**16 + 3)),
    "mul of a large and a small one": (mul, f64(1, 2.0**40), f64(1, -(2.0**-10) - ULP)),
    "mul of negatives": (mul, f64(1, -(2.0**15)), f64(1, -(2.0**15))),
    "mul by public": (times_public, f64(1, 2.0**10), f64(0)),
    "square": (square, f64(1, -(2.0**15)), f64(0)),
    "matmul": (matmul, f64(2.0**14, 2.0**14, 1), f64(2.0**15, 2.0**15, 1)),
    "matmul that wraps": (matmul, f64(2.0**22, 2.0**22), f64(2.0**25, 2.0**25)),
    "conv": (convolved, f64(1, 2, 2.0**20), f64(1, 2.0**11)),
    "integers": (integers, f64(1, -1), f64(0)),
    "large operands": (mul, f64(1, 2.0**44), f64(1, 0)),
}
INSIDE = {
    "add": (add, f64(1, HALF), f64(2, HALF - 1)),
    "add of opposites": (add, f64(BIG, -BIG), f64(-BIG, BIG)),
    "sub": (sub, f64(BIG, -HALF), f64(HALF, HALF)),
    "sum": (total, f64(HALF, -HALF, HALF - 1, 0.5), f64(0)),
    "sum of rows": (total_of_rows, f64(1, 2, HALF, HALF - 1), f64(0)),
    "sum of nothing": (total, torch.zeros(0, 3, dtype=torch.float64), f64(0)),
    "sum of one": (total, torch.tensor(BIG, dtype=torch.float64), f64(0)),
    "cumsum": (running, f64(HALF, -HALF, HALF), f64(0)),
    "scale": (scaled(-3.0), f64(1, HALF / 2), f64(0)),
    "scale by a fraction": (scaled(-0.7), f64(1, 2.0**30), f64(0)),
    "mul": (mul, f64(1, 2.0**15), f64(1, 2.0**15 - ULP)),
    "mul of negatives": (mul, f64(-3, -(2.0**20)), f64(-5, -1000)),
    "mul of small ones": (mul, f64(-ULP, ULP, 0), f64(-ULP, -ULP, -5)),
    "mul of a large and a small one": (mul, f64(1, 2.0**40), f64(1, 2.0**-11)),
    "mul of nothing": (mul, torch.zeros(0, dtype=torch.float64), f64(1)),
    "mul by public": (times_public, f64(1, 2.0**9), f64(0)),
    "square": (square, f64(1, -(2.0**15) + 1), f64(0)),
    "matmul": (matmul, f64(2.0**14, 2.0**14, 1), f64(2.0**14, 2.0**15 - 1, -1)),
    "conv": (convolved, f64(1, 2, 3, -4), f64(-2, 1000)),
    "a pending product and a sum": (pending_plus, f64(1, -1000), f64(3, 1000)),
    "integers of comparisons": (lambda e, x, y: e.square(e.at_least_zero(x)), f64(1, -1), f64(0)),
}


def evaluate(operation, x, y, owners, parties, provider, checked=True):
    def body(engine):
        operands = []
        for values, owner in zip((x, y), owners, strict=True):
            entered = enter(engine, values, max(owner, 0))
            operands.append(engine.share(entered) if owner < 0 else entered)
        try:
            return engine.reveal(operation(engine, *operands))
        except C.RangeError as error:
            return str(error)

    return run(body, parties, provider, checked=checked)


@pytest.mark.parametrize(("parties", "provider"), CONFIGURATIONS)
@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_raises_everywhere(name, parties, provider):
    for owners in ((-1, -1), (0, 1), (0, -1), (1, 1)):
        answers = evaluate(*OUTSIDE[name], owners, parties, provider)
        assert all(isinstance(answer, str) and "outside the range" in answer for answer in answers)


@pytest.mark.parametrize(("parties", "provider"), CONFIGURATIONS)
@pytest.mark.parametrize("name", INSIDE)
def test_inside_passes(name, parties, provider):
    operation, x, y = INSIDE[name]
    for owners in ((-1, -1), (0, 1), (0, -1), (1, 1)):
        plain = evaluate(operation, x, y, owners, parties, provider, checked=False)
        for answer, expected in zip(
            evaluate(operation, x, y, owners, parties, provider), plain, strict=True
        ):
            assert not isinstance(answer, str), answer
            assert ((answer - expected).abs() <= 2 * ULP).all()


def test_the_sign_of_a_difference_is_not_a_value():
    """Two values in the range can be compared, however far they are apart."""

    def body(engine):
        x, y = (engine.share(enter(engine, v)) for v in (f64(-BIG, BIG), f64(BIG, -BIG)))
        return engine.reveal(engine.ltz(engine.difference(x, y))).tolist()

    assert run(body, checked=True) == [[1, 0]] * 2


def test_one_bit_is_opened_for_each_check():
    def body(engine):
        x = engine.share(enter(engine, torch.ones(100)))
        seen = []
        engine.guard_reveals(lambda *request: seen.append(request))
        engine.add(x, x)
        engine.mul(x, x)
        return seen

    assert run(body, checked=True) == [[("check", [], None)] * 2] * 2
