# SPDX-License-Identifier: MIT
"""torch.optim on secret parameters, against the same optimizer on float64."""

import copy
import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor.aten.rescaling import multiplied

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import training

STEPS = 20
UNIT = 2.0**-16
optim = torch.optim


def on_grid(x):
    return (x / UNIT).round() * UNIT


def secret_parameters(values, src=0):
    return [nn.Parameter(ct.cryptensor(v, src=src)) for v in values]


# ---- given gradients: what the steps themselves add ---------------------------------------------

RANDOM = torch.Generator().manual_seed(7)
START = [on_grid(torch.randn(shape, generator=RANDOM)) for shape in ((4, 5), (7,), ())]


def _gradients():
    """Of magnitude 0.05 to 3, with a direction and noise, on the grid of 16 bits."""
    base = [torch.randn(p.shape, generator=RANDOM) for p in START]
    base = [b.sign() * (0.1 + b.abs()) for b in base]
    return [
        [on_grid(b * (1 + 0.2 * torch.randn(b.shape, generator=RANDOM)).clamp(0.5)) for b in base]
        for _ in range(STEPS)
    ]


GRADIENTS = _gradients()

# With the rounds of a step after the first.
OPTIMIZERS = {
    "sgd": (lambda p: optim.SGD(p, lr=0.05), 2),
    "sgd decay": (lambda p: optim.SGD(p, lr=0.05, weight_decay=0.01), 2),
    "momentum": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01), 2),
    "dampening": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3), 3),
    "nesterov": (lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), 3),
    "maximize": (lambda p: optim.SGD(p, lr=1e-3, maximize=True, foreach=True), 2),
    "adam": (lambda p: optim.Adam(p, lr=0.01), 15),
    "adam decay": (lambda p: optim.Adam(p, lr=torch.tensor(0.01), weight_decay=0.01), 15),
    "adam eps": (lambda p: optim.Adam(p, lr=0.01, eps=0.1), 22),
    "adam betas": (lambda p: optim.Adam(p, lr=0.01, betas=(0.8, 0.99), maximize=True), 15),
    "adamw": (lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1), 15),
    "rmsprop": (lambda p: optim.RMSprop(p, lr=0.01), 14),
    "rmsprop momentum": (
        lambda p: optim.RMSprop(p, lr=0.01, momentum=0.9, eps=1e-2, weight_decay=0.01),
        22,
    ),
}


def plain_path(make):
    """The parameters after the last step, and the largest distance that one of them went."""
    params = [nn.Parameter(p.double()) for p in START]
    optimizer, length = make(params), 0.0
    for gradients in GRADIENTS:
        before = [p.detach().clone() for p in params]
        for p, g in zip(params, gradients, strict=True):
            p.grad = g.double()
        optimizer.step()
        moved = [(p - b).abs().max() for p, b in zip(params, before, strict=True)]
        length += max(moved).item()
    return [p.detach() for p in params], length


def secret_steps(name):
    params = secret_parameters(START)
    optimizer = OPTIMIZERS[name][0](params)
    for gradients in GRADIENTS:
        for p, g in zip(params, gradients, strict=True):
            p.grad = ct.cryptensor(g, src=1) * ct.cryptensor(1.0, src=0)  # a pending product
        ct.reset_stats()
        optimizer.step()
        stats = ct.stats()
    return [p.reveal() for p in params], stats.total().rounds


def bound(length):
    """A step rounds a parameter by one unit. A direction is off by a relative 2^-10: 2^-11.5 of a
    power, 2^-12 of 1 - beta, and 10 * 2^-16 of a momentum of 0.9, which counts ten times; and by
    2^-11 absolutely: ten roundings of 2^-20 of a first moment over 1 - beta1^t and over a gradient
    of at least 0.05, times a learning rate of at most 0.05.
    """
    return STEPS * (UNIT + 0.05 * 2.0**-11) + length * 2.0**-10


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_follow_float64(name):
    expected, length = plain_path(OPTIMIZERS[name][0])
    (values, rounds), _ = ct.simulate(secret_steps, name, parties=2)
    for got, want in zip(values, expected, strict=True):
        assert (got - want).abs().max() < bound(length)
    assert rounds == OPTIMIZERS[name][1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adam", {"parties": 3}),
        ("momentum", {"parties": 3}),
        ("rmsprop", {"parties": 3}),
        ("adam", {"provider": "third_party"}),
        ("adam", {"truncation": "exact", "checked": True}),
        ("adam eps", {"precision": 20}),
        ("adam", {"precision": 24}),
    ],
)
def test_sessions(name, options):
    expected, length = plain_path(OPTIMIZERS[name][0])
    values, _ = ct.simulate(secret_steps, name, **options)[0]
    for got, want in zip(values, expected, strict=True):
        assert (got - want).abs().max() < bound(length)


def test_second_moments_keep_small_squares():
    gradient = torch.tensor([2.0**-12, 0.01, -1.0, 100.0])

    def run():
        (p,) = secret_parameters([torch.zeros(4)])
        optimizer = optim.Adam([p])
        p.grad = ct.cryptensor(gradient, src=1)
        optimizer.step()
        state = optimizer.state[p]
        engine, squares = p._engine, state["exp_avg_sq"]._secret
        assert squares.fraction_bits == 42  # of which reveal() would show 16
        squares = engine.reveal(multiplied(engine, squares, 1, -26)) * 2.0**-26
        return squares, state["exp_avg"].reveal(), p.reveal()

    squares, means, moved = ct.simulate(run, parties=2)[0]
    assert torch.allclose(squares, 0.001 * gradient.double() ** 2, rtol=2.0**-9, atol=2.0**-40)
    assert torch.allclose(means, 0.1 * gradient, atol=2 * UNIT, rtol=2.0**-15)
    # The first step of Adam is lr * sign. At 2^-12, 256 units of the square have 4 beside them.
    assert torch.allclose(moved, -1e-3 * gradient.sign(), rtol=0.02, atol=UNIT)


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.RMSprop])
def test_no_gradient_moves_nothing(make):
    def run():
        params = secret_parameters(START)
        optimizer = make(params, lr=0.1)
        for _ in range(5):
            for p in params:
                noise = ct.cryptensor(torch.randn(p.shape), src=1) * ct.cryptensor(2.5, src=0)
                p.grad = noise - noise
            optimizer.step()
        return [p.reveal() for p in params]

    # The default truncation makes one of a zero once in 2^16 roundings.
    for got, want in zip(ct.simulate(run, parties=2, truncation="exact")[0], START, strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("truncation", ["default", "exact"])
@pytest.mark.parametrize("make", [optim.Adam, optim.RMSprop])
def test_gradients_of_a_few_units_move_no_further_than_in_float64(make, truncation):
    """Where rounding may leave nothing of the squares, the quotient stays bounded."""
    units = torch.randint(-3, 4, (2000,), generator=torch.Generator().manual_seed(3))

    def run(gradient, p):
        optimizer = make([p], lr=0.01)
        for _ in range(10):
            p.grad = gradient
            optimizer.step()
        return p

    def secret():
        gradient = ct.cryptensor(units * UNIT, src=1) * ct.cryptensor(1.0, src=0)
        return run(gradient, secret_parameters([torch.zeros(2000)])[0]).reveal()

    reach = run(units.double() * UNIT, nn.Parameter(torch.zeros(2000).double())).abs().max()
    moved = ct.simulate(secret, parties=2, truncation=truncation)[0]
    assert moved.abs().max() < 1.25 * reach
    assert (moved * units <= 0).all()
    # The default truncation makes one of a zero once in 2^16 roundings, the exact one never.
    if truncation == "exact":
        assert (moved[units == 0] == 0).all()


def test_changes_below_a_unit_count_on_average():
    """300 steps of a quarter of a unit; 1,000 roundings up or down leave the mean by 0.5."""

    def run():
        (p,) = secret_parameters([torch.zeros(1000)])
        optimizer = optim.SGD([p], lr=0.25)
        for _ in range(300):
            p.grad = ct.cryptensor(torch.full((1000,), UNIT), src=1)
            optimizer.step()
        return p.reveal()

    moved = ct.simulate(run, parties=2)[0] / UNIT
    assert abs(moved.mean() + 75) < 3
    assert 2 < moved.std() < 20


# ---- whole loops ---------------------------------------------------------------------------------

ROWS, TARGETS = torch.randn(32, 4, generator=RANDOM), torch.randn(32, 2, generator=RANDOM)


def regress(layer, rows, targets):
    optimizer = optim.SGD(layer.parameters(), lr=0.1, momentum=0.5, weight_decay=1e-3)
    schedule = optim.lr_scheduler.StepLR(optimizer, 5, gamma=0.5)
    norms = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(layer(rows), targets).backward()
        norms.append(nn.utils.clip_grad_norm_(layer.parameters(), 0.5))
        optimizer.step()
        schedule.step()
    return layer, norms


def test_a_loop_with_clipping_and_a_schedule():
    torch.manual_seed(2)
    start = nn.Linear(4, 2)

    def run():
        first, second = ROWS.split([3, 1], 1)
        rows = torch.cat([ct.cryptensor(first, src=0), ct.cryptensor(second, src=1)], 1)
        targets = torch.cat(
            [ct.cryptensor(half, src=i) for i, half in enumerate(TARGETS.split(16))]
        )
        layer, norms = regress(ct.encrypt(start), rows, targets)
        assert ct.stats().reveals == 0
        return [p.reveal() for p in layer.parameters()], [n.reveal() for n in norms]

    layer, norms = regress(copy.deepcopy(start).double(), ROWS.double(), TARGETS.double())
    got, got_norms = ct.simulate(run, parties=2)[0]
    assert norms[0] > 0.5  # something is clipped
    # Each of the 32 residuals of a column is off by three units, and so is its share in the mean:
    # a gradient is off by 2 * 3 * sum |row| * UNIT, and by 2^-11 of 0.5 where it is clipped; the
    # learning rates sum up to 1, which a momentum of 0.5 doubles.
    gradient = 6 * ROWS.abs().sum(0).max() * UNIT + 2.0**-12
    for value, want in zip(got, layer.parameters(), strict=True):
        assert (value - want).abs().max() < 2 * gradient + STEPS * UNIT
    for value, want in zip(got_norms, norms, strict=True):
        assert abs(value - want) < 2.0**-7


@pytest.mark.parametrize(
    ("name", "optimizer", "epochs"),
    [("logistic", "SGD", 10), ("logistic", "Adam", 10), ("mlp", "RMSprop", 4), ("cnn", "SGD", 4)],
)
def test_accuracy_of_the_example(monkeypatch, name, optimizer, epochs):
    task = dataclasses.replace(training.TASKS[name], epochs=epochs)
    monkeypatch.setitem(training.TASKS, name, task)
    row = training.compare(name, optimizer, ct.simulate)
    assert row["plain"] > 0.85
    assert abs(row["secret"] - row["plain"]) <= training.MAX_LOST_ACCURACY
