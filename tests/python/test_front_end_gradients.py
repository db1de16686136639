# SPDX-License-Identifier: MIT
"""PyTorch's autograd on functions of secrets: the gradient to 2^-8, and no comparison for it."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from agreement import gradients, secret_in, shared, weights_like
from gradient_cases import CASES, GROUPS, X

import cryptensor as ct
from cryptensor import _C, session
from cryptensor.errors import UnsupportedOperation
from cryptensor.tensor import CrypTensor

BOUND = 2.0**-8
# What a backward pass may compute beside products: derivatives that no value tells.
ALLOWED = {
    "log": {"reciprocal"},
    "log1p": {"reciprocal"},
    "log2": {"reciprocal"},
    "pow of tensors": {"reciprocal"},
    "pow 0.75": {"power"},
    "x ** y": {"reciprocal"},
    "pow -1": {"reciprocal"},
    "bce": {"power"},
}
# The same as names in engine.stats(), and as methods of an engine.
COUNTED = {
    "compare",
    "is_zero",
    "max",
    "maximum",
    "piecewise",
    "power_of_two",
    "relu",
    "series",
    "sort",
}
COMPARING = {
    "activation",
    "activation_with_derivative",
    "at_least_zero",
    "exp",
    "is_zero",
    "largest",
    "largest_with_index",
    "log",
    "log_softmax",
    "logsumexp",
    "ltz",
    "maximum",
    "piecewise",
    "power",
    "reciprocal",
    "relu",
    "relu_with_sign",
    "sin_cos",
    "softmax",
    "sort",
    "sort_with_index",
    "standardize",
}


def train(cases):
    """The gradients of all cases, and the comparisons that their backward passes counted."""
    engine = session.current().engine
    results = {}
    for name, (inputs, function) in cases.items():
        secrets = [shared(x) for x in inputs]
        found = gradients(secrets, function, engine.reset_stats)
        counted = {row["operation"] for row in engine.stats() if row["calls"]}
        opened = [None if g is None else g.reveal() for g in found]
        results[name] = opened, counted & COUNTED
    return results


@pytest.mark.parametrize("group", GROUPS)
def test_gradients_match_float64(group):
    cases = GROUPS[group]
    for results in ct.simulate(train, cases, parties=2, provider="first_party"):
        for name, (inputs, function) in cases.items():
            expected = gradients([x.clone() for x in inputs], function)
            found, counted = results[name]
            if name not in ALLOWED:
                assert not counted, name
            for plain, opened in zip(expected, found, strict=True):
                if plain is None:
                    assert opened is None, name
                    continue
                assert opened.shape == plain.shape, name
                error = (opened - plain).abs() - BOUND * plain.abs().clamp(min=1)
                worst = int(error.argmax())
                assert error.max() <= 0, (
                    f"{name}: {opened.flatten()[worst]} for {plain.flatten()[worst]}"
                )


class Counting:
    """An engine that counts its calls."""

    def __init__(self, engine):
        self.engine, self.calls = engine, Counter()

    def __getattr__(self, name):
        attribute = getattr(self.engine, name)
        if callable(attribute):
            self.calls[name] += 1
        return attribute


@pytest.mark.parametrize("name", CASES)
def test_a_backward_pass_computes_no_function_again(name):
    inputs, function = CASES[name]
    engine = Counting(_C.plaintext_engine())
    gradients([secret_in(engine, x) for x in inputs], function, engine.calls.clear)
    assert COMPARING & set(engine.calls) <= ALLOWED.get(name, set())


@pytest.mark.parametrize("name", ["relu6", "gelu", "elu", "abs", "clamp", "sort", "layer_norm"])
def test_without_a_gradient_nothing_is_kept(name):
    inputs, function = CASES[name]
    engine = Counting(_C.plaintext_engine())
    secrets = [secret_in(engine, x) for x in inputs]
    with torch.no_grad():
        result = function(*(x.requires_grad_() for x in secrets))
    assert "activation_with_derivative" not in engine.calls
    assert not result._memo
    assert all(set(x._memo) <= {"settled"} for x in secrets)


def test_secret_class_targets():
    engine = _C.plaintext_engine()
    labels = torch.tensor([0, 3, 7, 3, 5, 1])
    secret_labels = secret_in(engine, labels, torch.int64)
    (found,) = gradients([secret_in(engine, X)], lambda x: F.cross_entropy(x, secret_labels))
    (expected,) = gradients([X.clone()], lambda x: F.cross_entropy(x, labels))
    assert (found.reveal() - expected).abs().max() < BOUND


PUBLIC_INPUTS = {
    "hardtanh": F.hardtanh,
    "gelu": F.gelu,
    "softplus": F.softplus,
    "elu": F.elu,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: x.softmax(1),
    "layer_norm": lambda x: F.layer_norm(x, (8,)),
    "max_pool2d": lambda x: F.avg_pool2d(x[None], 2),
}


@pytest.mark.parametrize("name", PUBLIC_INPUTS)
def test_a_public_input_gets_a_secret_gradient(name):
    function = PUBLIC_INPUTS[name]
    engine = _C.plaintext_engine()
    plain, public = X.clone().requires_grad_(), X.clone().requires_grad_()
    y = function(plain)
    (y * weights_like(y)).sum().backward()
    z = function(public)
    (z * secret_in(engine, weights_like(z))).sum().backward()
    assert isinstance(public.grad, CrypTensor)
    assert (public.grad.reveal() - plain.grad).abs().max() < BOUND


def test_a_second_derivative_is_exact_or_refused():
    engine = _C.plaintext_engine()
    x = secret_in(engine, X).requires_grad_()
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert (second.reveal() - 6 * X).abs().max() < BOUND
    with pytest.raises(UnsupportedOperation, match="second derivative of Erf"):
        torch.autograd.grad(torch.erf(x).sum(), x, create_graph=True)


def test_torch_func():
    engine = _C.plaintext_engine()
    for function in (F.gelu, lambda x: x.sort(-1).values, lambda x: x.amax(1), F.elu):
        gradient = torch.func.grad(lambda x, f=function: (f(x) ** 2).sum())
        assert (gradient(secret_in(engine, X)).reveal() - gradient(X)).abs().max() < 2 * BOUND


def test_a_model_learns():
    """A few steps of SGD with normalisation, attention-like softmax and cross-entropy."""
    torch.manual_seed(0)
    plain = torch.nn.Sequential(
        torch.nn.Linear(8, 8), torch.nn.LayerNorm(8), torch.nn.GELU(), torch.nn.Linear(8, 3)
    ).double()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    engine = _C.plaintext_engine()
    secret = {
        n: secret_in(engine, p.detach()).requires_grad_() for n, p in plain.named_parameters()
    }
    optimizers = [
        torch.optim.SGD(plain.parameters(), lr=0.5),
        torch.optim.SGD(secret.values(), lr=0.5),
    ]
    for _ in range(4):
        losses = [
            F.cross_entropy(plain(X), labels),
            F.cross_entropy(
                torch.func.functional_call(plain, secret, (secret_in(engine, X),)), labels
            ),
        ]
        for optimizer, loss in zip(optimizers, losses, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert abs(losses[1].reveal() - losses[0].detach()) < 2 * BOUND


def small_inverses():
    found = []
    for name, small in (("rsqrt", 4e-4), ("reciprocal", 4e-3)):
        x = ct.cryptensor(torch.tensor([small, 1.0, 2.0]), src=0).requires_grad_()
        (getattr(torch, name)(x) * torch.tensor([1e-4, 1.0, -1.0])).sum().backward()
        found.append(x.grad.reveal())
    return found


def test_gradients_of_inverses_of_small_numbers_at_high_precision():
    """1 / x^1.5 is 125,000 here, and products of 24 fraction bits end at 2^14."""
    rsqrt, reciprocal = ct.simulate(small_inverses, precision=24, provider="first_party")[0]
    weights = torch.tensor([1e-4, 1.0, -1.0], dtype=torch.float64)
    x = torch.tensor([4e-4, 1.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(rsqrt.double(), -0.5 * weights * x**-1.5, rtol=2e-3, atol=1e-5)
    x[0] = 4e-3
    torch.testing.assert_close(reciprocal.double(), -weights * x**-2, rtol=2e-3, atol=1e-5)
