# SPDX-License-Identifier: MIT
"""check() finds the values that a secret or a function of secrets does not take."""

import pytest
import torch
from test_check_operations import Call
from torch import nn

import cryptensor as ct

X = torch.tensor([[-1.5, 0.5, 1.0, 2.0]])
UP = torch.tensor([[0.5, 1.0, 2.0, 3.0]])


def risks(function, x=X, **settings):
    report = ct.check(
        function if isinstance(function, nn.Module) else Call(function), x, **settings
    )
    assert report.ok, report
    return [(risk.kind, risk.operation.split(".")[1], risk.outside) for risk in report.risks]


CASES = {
    "log of a negative number": (torch.log, X, ("domain", "log", True)),
    "log of 0": (torch.log, UP - 0.5, ("domain", "log", True)),
    "log near 0": (torch.log, UP - 0.49997, ("domain", "log", False)),
    "log of a large number": (torch.log, UP * 2**31, ("domain", "log", True)),
    "log1p below -1": (torch.log1p, X, ("domain", "log1p", True)),
    "xlogy": (lambda x: torch.xlogy(x + 3, x), X, ("domain", "xlogy", True)),
    "root of a negative number": (torch.sqrt, X, ("domain", "sqrt", True)),
    "inverse root of 0": (torch.rsqrt, UP - 0.5, ("domain", "rsqrt", True)),
    "root by a power": (lambda x: x**0.5, X, ("domain", "pow", True)),
    "division by 0": (lambda x: x / (x - 1), X, ("domain", "div", True)),
    "division near 0": (lambda x: x / (x - 0.99997), X, ("domain", "div", False)),
    "inside of a decomposed operation": (torch.logit, UP / 2, ("domain", "div", True)),
    "reciprocal": (lambda x: 1 / (x - 1), X, ("domain", "reciprocal", True)),
    "large quotient": (lambda x: (x * 2**20) / (x / 128), UP, ("range", "div", True)),
    "large power": (lambda x: torch.exp(x * 16), UP, ("domain", "exp", True)),
    "power of 2": (lambda x: torch.exp2(x * 15), UP, ("domain", "exp2", False)),
    "power of a number": (lambda x: 10.0**x, UP * 6, ("domain", "pow", True)),
    "large angle": (lambda x: torch.sin(x), UP * 2**30, ("domain", "sin", True)),
    "large product": (lambda x: x * x, UP * 2**15, ("range", "mul", True)),
    "product near the limit": (lambda x: x * x, UP * 2**13, ("range", "mul", False)),
    "sum of products": (lambda x: (x * x).sum(), UP * 2**13.4, ("range", "sum", True)),
    "large sum": (lambda x: x + x, UP * 2**42, ("range", "add", False)),
    "variance": (nn.LayerNorm(4), X * 1e5, ("domain", "native_layer_norm", True)),
    "epsilon": (lambda x: (x * x + 1e-8).sqrt(), X, ("vanishing", "add", True)),
    "small factor": (lambda x: x * 1e-4, X, ("vanishing", "mul", False)),
    "large divisor": (lambda x: (x * 100) / 1e4, X, ("vanishing", "div", False)),
    "small result": (lambda x: x / 2048 / 64, X, ("vanishing", "div", False)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_found(name):
    function, x, expected = CASES[name]
    assert expected in risks(function, x)


HARMLESS = {
    "functions": lambda x: x.sigmoid() + x.tanh() + x.exp() + (x * x).sqrt() + x.softmax(-1),
    "masks": lambda x: x.masked_fill(x > 0, float("-inf")).softmax(-1),
    "masks of the dtype": lambda x: (x + torch.full((4,), torch.finfo(x.dtype).min)).softmax(-1),
    "zeros": lambda x: x * 0 + torch.zeros_like(x),
    "views of fresh memory": lambda x: x.new_empty(2, 4).copy_(x),
    "norms": lambda x: nn.functional.layer_norm(x, (4,)),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_silent(name):
    assert risks(HARMLESS[name]) == []


def test_the_origin_alone_is_named():
    """What is too large stays so in all that is computed of it."""

    def function(x):
        y = x * x
        return (y + 1).reshape(-1) + 2

    report = ct.check(Call(function), UP * 2**15)
    assert [risk.place.text for risk in report.risks] == ["y = x * x"]
    assert report.risks[0].low == 2.0**28 and report.risks[0].high == 9 * 2.0**30


def test_precision_moves_the_limits():
    assert risks(lambda x: x * x, UP * 2**9) == []
    assert risks(lambda x: x * x, UP * 2**9, precision=24) == [("range", "mul", True)]
    assert risks(lambda x: x * 1e-4, precision=20) == []


def test_parameters_and_inputs():
    layer = nn.Linear(4, 2)
    layer.weight.data *= 1e-6
    layer.bias.data.fill_(2.0**45)
    found = ct.check(layer, X * 1e-7).risks
    assert [(risk.operation, risk.kind, risk.place.module) for risk in found[:3]] == [
        ("parameter", "vanishing", "weight"),
        ("parameter", "range", "bias"),
        ("input", "vanishing", ""),
    ]


def test_a_folded_normalisation_is_judged_as_it_is_encrypted():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    model[1].running_var.fill_(1e8)
    found = [
        risk.place.module for risk in ct.check(model, X).risks if risk.operation == "parameter"
    ]
    assert found == ["0.weight", "0.bias"]
