# SPDX-License-Identifier: MIT
"""In checked mode a value outside a function's domain raises RangeError on every party."""

from __future__ import annotations

import pytest
import torch

import cryptensor as ct
from cryptensor.errors import RangeError

OUTSIDE = {
    "log of a negative": (torch.log, -1.0),
    "log of zero": (torch.log, 0.0),
    "one by zero": (torch.reciprocal, 0.0),
    "division by zero": (lambda x: 1.5 / x, 0.0),
    "rsqrt of zero": (torch.rsqrt, 0.0),
    "sqrt of a negative": (torch.sqrt, -1.0),
    "exp beyond the encoding": (torch.exp, 33.0),
}
INSIDE = {
    "log": (torch.log, 0.5),
    "reciprocal": (torch.reciprocal, -0.5),
    "sqrt of zero": (torch.sqrt, 0.0),
    "exp": (torch.exp, 3.0),
    "exp of a small number": (torch.exp, -100.0),
}


def evaluate(function, value, checked):
    def body():
        x = torch.full((70,), 2.0)
        x[37] = value
        try:
            return function(ct.cryptensor(x, src=1)).reveal()
        except RangeError as error:
            return str(error)

    return ct.simulate(body, provider="first_party", checked=checked)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_value_outside_raises_everywhere(name):
    answers = evaluate(*OUTSIDE[name], checked=True)
    assert all(isinstance(answer, str) and "a value" in answer for answer in answers)


@pytest.mark.parametrize("name", OUTSIDE)
def test_without_the_mode_it_gives_an_end_value(name):
    for answer in evaluate(*OUTSIDE[name], checked=False):
        assert torch.isfinite(answer).all()


@pytest.mark.parametrize("name", INSIDE)
def test_what_lies_inside_passes(name):
    function, value = INSIDE[name]
    for answer in evaluate(function, value, checked=True):
        expected = function(torch.tensor(value))
        assert abs(answer[37] - expected) <= 2.0**-11 * max(1.0, abs(expected))


def test_the_mode_opens_one_bit_for_a_call():
    def body():
        ct.reset_stats()
        torch.log(ct.cryptensor(torch.full((1000,), 2.0), src=0))
        return ct.stats()["check"].calls

    assert ct.simulate(body, provider="first_party", checked=True) == [1, 1]
