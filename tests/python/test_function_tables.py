# SPDX-License-Identifier: MIT
"""The committed tables of csrc/function: proven bounds, limits, and an independent evaluation."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import fit_functions as tool

TABLES = {table.name: table for table in tool.read_tables()}
PARTS = [
    pytest.param(table, part, id=f"{table.name}-{part}")
    for table in TABLES.values()
    for part in ("value", "derivative")
    if getattr(table, part)
]
LIMITS = {"log2": 2.0**-16, "log2_coarse": 2.0**-11.8}
# PyTorch's own formulas, and its autograd for the derivatives, are independent of the tool's.
REFERENCES = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softplus": F.softplus,
    "mish": F.mish,
    "expm1_negative": lambda x: torch.expm1(x.clamp(max=0)),
    "log2": torch.log2,
    "log2_coarse": torch.log2,
}


def test_every_function_has_a_table():
    assert TABLES.keys() == REFERENCES.keys()
    with_derivative = {name for name, table in TABLES.items() if table.derivative}
    assert with_derivative == {"erf", "gelu", "gelu_tanh", "silu", "mish"}


def test_the_file_is_what_the_tool_fits():
    assert tool.problems(list(TABLES.values())) == []


@pytest.mark.parametrize("table, part", PARTS)
def test_bound_is_proven_and_within_the_limit(table, part):
    bound = getattr(table, part).bound
    assert 0.99 * bound < tool.error_bound(table, part == "derivative") <= bound
    limit = 2.0**-9.5 if part == "derivative" else LIMITS.get(table.name, 2.0**-12.3)
    assert bound <= limit


@pytest.mark.parametrize("table, part", PARTS)
def test_table_is_well_formed(table, part):
    series = getattr(table, part)
    assert table.low * 16 % 1 == table.high * 16 % 1 == 0
    assert table.kappa in (1, 3, 5, 7)
    assert 2.0**table.exponent / table.kappa > table.high - table.low
    assert len(series.cosines) == len(series.sines) == table.harmonics
    magnitudes = sum(abs(c) for c in (series.constant, *series.cosines, *series.sines))
    assert magnitudes <= 600 * 2**40


@pytest.mark.parametrize("table, part", PARTS)
def test_a_changed_coefficient_violates_the_bound(table, part):
    series = getattr(table, part)
    change = round(3 * series.bound * 2**40)
    kind = "cosines" if any(series.cosines) else "sines"
    wrong = [*getattr(series, kind)]
    wrong[0] += change
    for changed in ({"constant": series.constant + change}, {kind: tuple(wrong)}):
        broken = replace(table, **{part: replace(series, **changed)})
        assert tool.error_bound(broken, part == "derivative") > series.bound


def series_at(table, part, x):
    """The definition, one number at a time."""
    series = getattr(table, part)
    inside = min(max(x, table.low), table.high)
    total = series.constant / 2**40
    for i, (a, b) in enumerate(zip(series.cosines, series.sines, strict=True)):
        n = 2 * i + 1 if table.odd else i + 1
        angle = 2 * math.pi * n * inside * table.kappa / 2**table.exponent
        total += (a * math.cos(angle) + b * math.sin(angle)) / 2**40
    if part == "derivative":
        return total
    tails = table.right_slope * max(x - table.high, 0) + table.left_slope * min(x - table.low, 0)
    return total + table.linear * inside + tails


@pytest.mark.parametrize("table, part", PARTS)
def test_series_agrees_with_pytorch(table, part):
    low, high = (table.low, table.high) if "log2" in table.name else (-40.0, 40.0)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(4000, dtype=torch.float64, generator=generator) * (high - low) + low
    x = torch.cat([x, torch.tensor([table.low, table.high], dtype=torch.float64)])
    x.requires_grad_()
    expected = REFERENCES[table.name](x)
    if part == "derivative":
        (expected,) = torch.autograd.grad(expected.sum(), x)
    actual = torch.tensor([series_at(table, part, v) for v in x.tolist()], dtype=torch.float64)
    assert (actual - expected.detach()).abs().max() <= getattr(table, part).bound


@pytest.mark.parametrize("table, part", PARTS)
def test_what_the_proof_assumes_of_the_function(table, part):
    spec = next(s for s in tool.SPECIFICATIONS if s.name == table.name)
    function = getattr(spec, part)
    x = np.linspace(table.low, table.high, 4001)
    curvature = np.diff(function.evaluate(x), 2) / (x[1] - x[0]) ** 2
    assert np.abs(curvature).max() < tool.CURVATURE
    if function.limits is None:
        return
    # Tails: from `settled` outwards, f(x) - slope * x goes to its limit without turning back.
    slopes = spec.slopes if part == "value" else (0, 0)
    for side, slope, limit in zip((-1, 1), slopes, function.limits, strict=True):
        x = side * np.linspace(function.settled, 45, 4001)
        difference = np.abs(function.evaluate(x) - slope * x - limit)
        assert (np.diff(difference) <= 1e-14).all()
        assert difference[-1] < 1e-14
