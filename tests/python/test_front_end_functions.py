# SPDX-License-Identifier: MIT
"""Every function on secrets of two parties against float64, within the bound that it declares."""

import math

import pytest
import torch
import torch.nn.functional as F
from agreement import encodable, secret_in, shared
from function_cases import GROUPS

import cryptensor as ct
from cryptensor import _C
from cryptensor.errors import (
    ConfigError,
    PublicSinkError,
    SecretLeakError,
    ShapeError,
    UnsupportedOperation,
)

torch.manual_seed(4)


def evaluate(cases):
    with torch.no_grad():
        return {
            name: case.function(*(shared(x) for x in case.inputs)).reveal()
            for name, case in cases.items()
        }


@pytest.mark.parametrize("group", GROUPS)
def test_functions_match_float64(group):
    cases = GROUPS[group]
    for opened in ct.simulate(evaluate, cases, parties=2, provider="first_party"):
        for name, case in cases.items():
            case.check(name, opened[name])


@pytest.mark.parametrize("mode", ["inference_mode", "enable_grad"])
@pytest.mark.parametrize("group", GROUPS)
def test_the_mode_of_autograd_changes_no_value(group, mode):
    engine = _C.plaintext_engine()
    for name, (inputs, function, *_) in GROUPS[group].items():
        secrets = [secret_in(engine, x) for x in inputs]
        with torch.no_grad():
            expected = function(*secrets).reveal()
        with getattr(torch, mode)():
            if mode == "enable_grad":
                secrets = [secret.detach().requires_grad_() for secret in secrets]
            got = function(*secrets).detach().reveal()
        allowed = 2.0**-8 * expected.double().abs().clamp(min=1)
        assert bool(((got.double() - expected.double()).abs() <= allowed).all()), name


def test_running_statistics_follow_the_batch():
    engine = _C.plaintext_engine()
    plain = torch.nn.BatchNorm1d(12).double()
    x = encodable(torch.randn(7, 12) * 3)
    mean, variance = secret_in(engine, torch.zeros(12)), secret_in(engine, torch.ones(12))
    for _ in range(3):
        plain(x)
        F.batch_norm(secret_in(engine, x), mean, variance, training=True)
    assert (mean.reveal() - plain.running_mean).abs().max() < 2.0**-11
    assert (variance.reveal() - plain.running_var).abs().max() < 2.0**-9


ODD = {
    "one element": torch.tensor([0.5]),
    "a number": torch.tensor(-0.25),
    "empty": torch.zeros(0),
    "empty rows": torch.zeros(0, 3),
}
ON_ODD = {
    "gelu": F.gelu,
    "exp": torch.exp,
    "abs": torch.abs,
    "clamp": lambda x: x.clamp(-1, 1),
    "eq": lambda x: x == 0.5,
    "softmax": lambda x: x.softmax(-1),
    "sort": lambda x: x.sort(-1)[1],
    "prod": lambda x: x.prod(),
    "relu6": F.relu6,
}


@pytest.mark.parametrize("shape", ODD)
def test_odd_shapes(shape):
    engine = _C.plaintext_engine()
    plain = ODD[shape]
    for name, function in ON_ODD.items():
        opened = function(secret_in(engine, plain, plain.dtype)).reveal()
        expected = function(plain)
        assert opened.shape == expected.shape, name
        assert opened.dtype == expected.dtype, name
        if expected.numel():
            assert (opened.double() - expected.double()).abs().max() < 2.0**-10, name


def test_a_maximum_of_one_and_of_none():
    engine = _C.plaintext_engine()
    one = secret_in(engine, torch.tensor([[2.5]]))
    assert one.max(1).values.reveal().item() == 2.5
    assert one.argmax().reveal().item() == 0
    with pytest.raises(ShapeError, match="at least 1"):
        secret_in(engine, torch.zeros(3, 0)).amax(1)


REFUSED = {
    "softplus: beta is 0": (ConfigError, lambda x: F.softplus(x, 0)),
    "threshold is 2": (ConfigError, lambda x: F.softplus(x, 1, 2)),
    "min_val is 2": (ConfigError, lambda x: torch.ops.aten.hardtanh(x, 2.0, 1.0)),
    "lambd is -1": (ConfigError, lambda x: torch.ops.aten.hardshrink(x, -1.0)),
    "k is 9": (ShapeError, lambda x: x.topk(9)),
    "k is 0": (ShapeError, lambda x: x.kthvalue(0)),
    "num_classes is -1": (ShapeError, lambda x: F.one_hot(x.argmax(1))),
    "correction=5": (ShapeError, lambda x: x[0].var(correction=5)),
    "ord is 3": (UnsupportedOperation, lambda x: torch.linalg.vector_norm(x, 3)),
    "exponent is inf": (UnsupportedOperation, lambda x: x**math.inf),
    "base -2": (UnsupportedOperation, lambda x: (-2.0) ** x),
    "aten.floor": (UnsupportedOperation, torch.floor),
    "aten.round": (UnsupportedOperation, torch.round),
    "aten.cummax": (UnsupportedOperation, lambda x: x.cummax(0)),
    "aten.div.Tensor_mode": (
        UnsupportedOperation,
        lambda x: torch.div(x, x, rounding_mode="floor"),
    ),
    "half of the window": (ShapeError, lambda x: F.max_pool2d(x[None], 2, padding=2)),
    "secret class weights": (
        UnsupportedOperation,
        lambda x: F.cross_entropy(x, torch.tensor([0, 1]), x[0]),
    ),
    "beta is -1": (ConfigError, lambda x: F.smooth_l1_loss(x, x * 2, beta=-1)),
    "delta is 0": (ConfigError, lambda x: F.huber_loss(x, x * 2, delta=0)),
    "secret index or mask": (SecretLeakError, lambda x: x[x > 0]),
    "dtype torch.float32": (SecretLeakError, lambda x: x.index_select(0, x[0])),
    "running_mean": (
        PublicSinkError,
        lambda x: F.batch_norm(x, torch.zeros(2), torch.ones(2), training=True),
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusals_say_what_is_allowed(text):
    error, function = REFUSED[text]
    x = secret_in(_C.plaintext_engine(), torch.tensor([[1.0, -2.0], [0.25, 4.0]]), torch.float32)
    with pytest.raises(error) as caught:
        function(x)
    assert text in str(caught.value)
