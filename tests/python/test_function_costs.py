# SPDX-License-Identifier: MIT
"""The table of csrc/function/README.md says what the declared costs are."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptensor import _C

README = Path(__file__).resolve().parents[2] / "csrc" / "function" / "README.md"
MANY = 100_000
PARTIES, PRECISION = 2, 16
cost = _C.cost


def activation(name):
    return lambda: (MANY, cost.activation(PARTIES, PRECISION, name, MANY, False))


def power(exponent):
    return lambda: (MANY, cost.power(PARTIES, PRECISION, MANY, exponent))


ROWS = {
    "`relu`, comparison with a number or tensor": lambda: (MANY, cost.relu(MANY, PARTIES, 0)),
    "`==`, `!=`": lambda: (MANY, cost.is_zero(MANY, PARTIES)),
    "clamp, hardtanh, relu6 (two thresholds)": lambda: (
        MANY,
        cost.piecewise(MANY, PARTIES, [-(1 << PRECISION), 1 << PRECISION], 1),
    ),
    "sigmoid": activation("sigmoid"),
    "tanh": activation("tanh"),
    "erf": activation("erf"),
    "gelu": activation("gelu"),
    "gelu, tanh form": activation("gelu_tanh"),
    "silu": activation("silu"),
    "softplus": activation("softplus"),
    "mish": activation("mish"),
    "exp": lambda: (MANY, cost.exp(PARTIES, PRECISION, MANY)),
    "log": lambda: (MANY, cost.log(PARTIES, PRECISION, MANY)),
    "rsqrt": power(-0.5),
    "sqrt": power(0.5),
    "reciprocal": lambda: (MANY, cost.reciprocal(PARTIES, PRECISION, MANY, None)),
    "sin and cos": lambda: (MANY, cost.sin_cos(PARTIES, PRECISION, MANY)),
    "softmax of 128 in a row": lambda: (128 * 128, cost.softmax(PARTIES, PRECISION, 128, 128)),
    "log_softmax of 128 in a row": lambda: (
        128 * 128,
        cost.log_softmax(PARTIES, PRECISION, 128, 128),
    ),
    "maximum of 100 in a row": lambda: (
        MANY,
        cost.largest(PARTIES, PRECISION, 1000, 100, False),
    ),
    "the same with its place": lambda: (MANY, cost.largest(PARTIES, PRECISION, 1000, 100, True)),
    "sort of 10,000": lambda: (10_000, cost.sort(PARTIES, PRECISION, 1, 10_000, False)),
    "layer_norm of 768 in a row": lambda: (
        128 * 768,
        cost.standardize(PARTIES, PRECISION, 128, 768, 1e-5),
    ),
}


def documented() -> dict[str, list[str]]:
    """The last three columns of each row of the table, by the first one."""
    lines = [line for line in README.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {row[0]: row[-3:] for row in cells if row[0] != "function"}


def test_every_row_is_checked():
    assert documented().keys() == ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_rounds_and_bytes(name):
    elements, declared = ROWS[name]()
    expected = [
        str(declared["rounds"]),
        f"{declared['bytes_sent'] / elements:.1f}",
        f"{declared['dealer_bytes'] / elements:.1f}",
    ]
    assert documented()[name] == expected
