# SPDX-License-Identifier: MIT
"""Optimizers that are refused on secret parameters, and what is left alone beside secret ones."""

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor.errors import (
    ConfigError,
    PublicSinkError,
    SecretLeakError,
    UnsupportedOperation,
)

optim = torch.optim


def secret_parameters(values):
    return [nn.Parameter(ct.cryptensor(v, src=0)) for v in values]


REFUSED = {
    "Adadelta": lambda p: optim.Adadelta(p),
    "Adagrad": lambda p: optim.Adagrad(p),
    "Adamax": lambda p: optim.Adamax(p),
    "NAdam": lambda p: optim.NAdam(p),
    "RAdam": lambda p: optim.RAdam(p),
    "ASGD": lambda p: optim.ASGD(p),
    "Rprop": lambda p: optim.Rprop(p),
    "LBFGS": lambda p: optim.LBFGS(p),
    "Adafactor": lambda p: optim.Adafactor(p),
    "amsgrad=True": lambda p: optim.Adam(p, amsgrad=True),
    "centered=True": lambda p: optim.RMSprop(p, centered=True),
    "differentiable=True": lambda p: optim.SGD(p, differentiable=True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unfit_optimizer_is_refused(name):
    def run():
        (p,) = secret_parameters([torch.ones(3)])
        optimizer = REFUSED[name]([p])
        p.grad = ct.cryptensor(torch.ones(3), src=1)
        with pytest.raises(UnsupportedOperation) as caught:
            optimizer.step(lambda: None)
        return str(caught.value), p.reveal()

    for message, value in ct.simulate(run, parties=2):
        assert name in message and "test_training_refusals.py" in message
        assert torch.equal(value, torch.ones(3))


def _secret_rate(p):
    optimizer = optim.SGD([p], lr=0.1)
    optimizer.param_groups[0]["lr"] = ct.cryptensor(0.1, src=0)
    return optimizer


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (_secret_rate, SecretLeakError, "item"),
        (lambda p: optim.RMSprop([p], alpha=1.0), ConfigError, "weight"),
    ],
)
def test_bad_settings(make, error, words):
    def run():
        (p,) = secret_parameters([torch.ones(3)])
        optimizer = make(p)
        p.grad = ct.cryptensor(torch.ones(3), src=1)
        with pytest.raises(error, match=words):
            optimizer.step()

    ct.simulate(run, parties=2)


def test_a_scaler_and_a_secret_measure_are_refused():
    def run():
        (p,) = secret_parameters([torch.ones(3)])
        optimizer = optim.Adam([p])
        schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        with pytest.raises(SecretLeakError):
            schedule.step(p.sum())
        p.grad = ct.cryptensor(torch.ones(3), src=1)
        optimizer.grad_scale = torch.ones(())
        with pytest.raises(UnsupportedOperation, match="GradScaler"):
            optimizer.step()

    ct.simulate(run, parties=2)


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.RMSprop])
def test_a_secret_gradient_of_a_plain_parameter(make):
    def run():
        plain, (secret,) = nn.Parameter(torch.ones(3)), secret_parameters([torch.ones(3)])
        optimizer = make([plain, secret], lr=0.1)
        (plain * secret).sum().backward()
        with pytest.raises(PublicSinkError):
            optimizer.step()
        return plain.detach()

    assert torch.equal(ct.simulate(run, parties=2)[0], torch.ones(3))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: optim.Adam(p, lr=0.1),
        lambda p: optim.RMSprop(p, lr=0.1),
    ],
)
def test_plain_parameters_beside_secret_ones_and_late_gradients(make):
    def steps(params):
        optimizer = make(params)
        for step in range(4):
            for i, p in enumerate(params):
                # The second has its first gradient when the others have moved.
                p.grad = torch.full_like(p, 0.5) if i != 1 or step >= 2 else None
            optimizer.step()

    def run():
        params = [nn.Parameter(torch.ones(3)), *secret_parameters([torch.ones(3)] * 2)]
        steps(params)
        return [params[0].detach(), params[1].reveal(), params[2].reveal()]

    expected = [nn.Parameter(torch.ones(3)) for _ in range(3)]
    steps(expected)
    for got, want in zip(ct.simulate(run, parties=2)[0], expected, strict=True):
        assert (got - want).abs().max() < 2.0**-9


def test_plain_optimizers_are_left_alone():
    for make in (optim.Adam, optim.RMSprop, optim.Adadelta):
        p = nn.Parameter(torch.ones(3))
        optimizer = make([p])
        p.grad = torch.ones(3)
        optimizer.step()
        assert not optimizer.param_groups[0].get("fused")
        assert (p < 1).all()


def test_an_optimizer_of_the_program():
    class Halving(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

        @torch.no_grad()
        def step(self):
            for p in self.param_groups[0]["params"]:
                p.mul_(0.5)

    def run():
        (p,) = secret_parameters([torch.ones(3)])
        Halving([p]).step()
        return p.reveal()

    assert torch.equal(ct.simulate(run, parties=2)[0], torch.full((3,), 0.5))
