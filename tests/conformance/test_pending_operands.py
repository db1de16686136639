# SPDX-License-Identifier: MIT
"""Functions of a product that is still to be truncated, at every precision."""

from __future__ import annotations

import pytest
import torch
from engines import enter, run

VALUES = torch.linspace(-9, 9, 4001, dtype=torch.float64)
FUNCTIONS = {
    "sigmoid": (lambda e, x: e.activation("sigmoid", x), torch.sigmoid),
    "tanh": (lambda e, x: e.activation("tanh", x), torch.tanh),
    "gelu": (lambda e, x: e.activation("gelu", x), torch.nn.functional.gelu),
    "exp": (lambda e, x: e.exp(x), torch.exp),
    "sin": (lambda e, x: e.sin_cos(x)[0], torch.sin),
}


@pytest.mark.parametrize("precision", [8, 16, 20, 24])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_pending_operand_gives_the_function_of_its_value(name, precision):
    function, plain = FUNCTIONS[name]
    values = (VALUES * 2**precision).round() / 2**precision

    def body(engine):
        one = engine.public(torch.ones((), dtype=torch.float64))
        pending = engine.mul(engine.share(enter(engine, values)), one)
        return engine.reveal(engine.settle(function(engine, pending)))

    expected = plain(values)
    # The bar of the functions, two units of the result, and a unit of the operand at its slope.
    bound = 2.0**-11 * expected.abs().clamp(min=1) + 2.0**-precision * (2 + expected.abs())
    for result in run(body, 2, precision=precision):
        assert ((result - expected).abs() <= bound).all()
