# SPDX-License-Identifier: MIT
"""Public random numbers: every party draws the same, dropout and its like are right with them."""

import pytest
import torch
import torch.nn.functional as F
from agreement import shared
from module_case import values
from torch import nn

import cryptensor as ct
from cryptensor import session
from cryptensor.aten.coin import coin
from cryptensor.errors import (
    ConfigError,
    SecretLeakError,
    ShapeError,
    UnsupportedOperation,
)
from cryptensor.tensor import CrypTensor, public_values

BOUND = 2.0**-8
X = values(4, 6, 5)
FAST = {"provider": "first_party"}


def draws(parties):
    x = shared(X)
    return [
        public_values(y)
        for y in (
            torch.rand_like(x),
            torch.randn_like(x),
            torch.randint_like(x, 3, 7),
            torch.bernoulli(torch.full_like(x, 0.25)),
            x.new_empty(100).uniform_(-1, 1),
            x.new_empty(100).exponential_(),
            x.new_empty(100).normal_(2, 0.5),
            x.new_empty(100).bernoulli_(0.5),
        )
    ]


@pytest.mark.parametrize("parties", [2, 3])
def test_parties_draw_the_same(parties):
    first, *others = ct.simulate(draws, parties, parties=parties, **FAST)
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    again = ct.simulate(draws, parties, parties=parties, **FAST)[0]
    assert not torch.equal(first[0], again[0])
    uniform, normal, integers, bits = first[:4]
    assert 0 <= uniform.min() and uniform.max() <= 1 and 0.3 < uniform.mean() < 0.7
    assert abs(normal.mean()) < 0.5 and 0.7 < normal.std() < 1.3
    assert set(integers.unique().tolist()) <= {3.0, 4.0, 5.0, 6.0}
    assert 0.1 < bits.mean() < 0.4


def drop(function, training):
    x = shared(X).requires_grad_()
    y = function(x, 0.25, training)
    y.sum().backward()
    return y.detach().reveal(), x.grad.reveal()


CHANNELS = {F.dropout: False, F.dropout1d: True, F.dropout2d: True}


@pytest.mark.parametrize("function", CHANNELS)
def test_dropout_scales_what_it_keeps(function):
    (y, gradient), (other, _) = ct.simulate(drop, function, True, parties=2, **FAST)
    assert torch.equal(y, other)
    mask = gradient > 0.5
    assert (gradient - mask / 0.75).abs().max() < BOUND
    assert (y - X * mask / 0.75).abs().max() < BOUND
    assert 0 < mask.sum() < mask.numel()
    whole = (mask == mask[..., :1]).all()
    assert bool(whole) == CHANNELS[function]


@pytest.mark.parametrize("function", [*CHANNELS, F.alpha_dropout, F.feature_alpha_dropout])
def test_without_training_nothing_is_dropped(function):
    y, gradient = ct.simulate(drop, function, False, parties=2, **FAST)[0]
    assert (y - X).abs().max() < 2.0**-16 and bool((gradient == 1).all())


@pytest.mark.parametrize("function", [F.alpha_dropout, F.feature_alpha_dropout])
def test_alpha_dropout_keeps_mean_and_variance(function):
    y, gradient = ct.simulate(drop, function, True, parties=2, **FAST)[0]
    alpha, p = 1.7580993408473766, 0.25
    scale = ((1 - p) * (1 + p * alpha**2)) ** -0.5
    mask = gradient > 0.5
    expected = torch.where(mask, X, -alpha) * scale + alpha * scale * p
    assert (y - expected).abs().max() < BOUND
    assert 0 < mask.sum() < mask.numel()


def drop_everywhere():
    """The ends, in place, without a gradient and in inference mode."""
    x = shared(X)
    with torch.inference_mode():
        inferred = F.dropout(x, 0.25)
    in_place, channels = x.clone(), x.clone()
    assert F.dropout(in_place, 0.25, inplace=True) is in_place
    assert F.dropout2d(channels, 0.25, inplace=True) is channels
    return [
        y.reveal() for y in (F.dropout(x, 1.0), F.dropout2d(x, 1.0), inferred, in_place, channels)
    ]


def test_dropout_everywhere():
    *none, inferred, in_place, channels = ct.simulate(drop_everywhere, parties=2, **FAST)[0]
    assert not any(y.any() for y in none)
    for y in (inferred, in_place, channels):
        assert (y - X / 0.75 * (y != 0)).abs().max() < BOUND
        assert bool((y == 0).any()) and bool((y != 0).any())


def slopes(inplace):
    x = shared(X).requires_grad_()
    y = F.rrelu(x * 1.0, 0.125, 0.5, True, inplace)
    y.sum().backward()
    return y.detach().reveal(), x.grad.reveal()


@pytest.mark.parametrize("inplace", [False, True])
def test_rrelu_draws_slopes(inplace):
    y, gradient = ct.simulate(slopes, inplace, parties=2, **FAST)[0]
    assert (y - X * gradient).abs().max() < BOUND
    negative = gradient[X < 0]
    assert negative.min() > 0.125 - BOUND and negative.max() < 0.5 + BOUND and negative.std() > 0.05
    assert (gradient[X > 0] - 1).abs().max() < BOUND


MODELS = {
    "mlp": lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)),
    "lstm": lambda: nn.LSTM(5, 3, 2, dropout=0.5),
    "attention": lambda: nn.TransformerEncoderLayer(5, 1, 8, 0.5),
}


def train(model):
    secret = ct.encrypt(model)
    y = secret(shared(X.float(), torch.float32))
    y = y[0] if isinstance(y, tuple) else y
    y.square().sum().backward()
    return y.detach().reveal(), [p.grad.reveal() for p in secret.parameters()]


@pytest.mark.parametrize("name", MODELS)
def test_models_with_dropout_train(name):
    model = MODELS[name]().train()
    (first, gradients), (second, _) = ct.simulate(train, model, parties=2, **FAST)
    assert torch.equal(first, second)
    # Different masks at the two parties would leave shares that do not fit: huge numbers.
    assert first.abs().max() < 50 and all(g.abs().max() < 1e4 for g in gradients)
    assert any(bool(g.any()) for g in gradients)


def seeded(*seeds):
    seed = seeds[ct.rank()]
    ct.manual_seed(seed)
    first = public_values(torch.rand_like(shared(X)))
    expected = torch.rand(X.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    assert (first - expected).abs().max() <= 2.0**-16
    ct.manual_seed(seed)
    return torch.equal(first, public_values(torch.rand_like(shared(X))))


def test_manual_seed():
    assert ct.simulate(seeded, 5, 5, parties=2, **FAST) == [True, True]


def refuses_seed(*seeds):
    with pytest.raises(ConfigError, match="seed is"):
        ct.manual_seed(seeds[ct.rank()])
    return True


@pytest.mark.parametrize("seeds", [(5, 6), (-1, 5), (5, 2**63), ("a", "a"), (True, True)])
def test_seeds_are_checked_at_every_party(seeds):
    assert all(ct.simulate(refuses_seed, *seeds, parties=2, **FAST))


def test_sessions_have_coins_of_their_own():
    def run():
        first = coin(session.current().engine)
        return first.initial_seed()

    seeds = [ct.simulate(run, parties=2, **FAST) for _ in range(2)]
    assert seeds[0][0] == seeds[0][1] and seeds[1][0] == seeds[1][1]
    assert seeds[0][0] != seeds[1][0]


def refused():
    x = shared(X)
    for error, call in (
        (ConfigError, lambda: F.dropout2d(x, 1.5)),
        (ShapeError, lambda: F.dropout2d(x[0, 0])),
        (ConfigError, lambda: F.feature_alpha_dropout(x, -0.5, True)),
        (UnsupportedOperation, lambda: x.clone().uniform_(generator=torch.Generator())),
        (UnsupportedOperation, lambda: torch.multinomial(x[0, 0], 1)),
        (SecretLeakError, lambda: torch.bernoulli(x)),
    ):
        with pytest.raises(error):
            call()
    return isinstance(torch.rand_like(x), CrypTensor)


def test_refused():
    assert all(ct.simulate(refused, parties=2, **FAST))
