# SPDX-License-Identifier: MIT
"""Declared and calibrated ranges: the same results from half of the comparison."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor.errors import ConfigError, RangeError

VALUES = torch.tensor([0.0, 2.0**-16, -(2.0**-16), 3.5, -3.5, 32_767.9, -32_767.9])


def sent_by_relu():
    return ct.stats()["relu"].bytes_sent


def test_a_declared_bound_gives_the_same_values_for_fewer_bytes():
    def body():
        x = ct.cryptensor(VALUES.repeat(100), src=0) + 0.0 * ct.cryptensor(torch.ones(700), src=1)
        settled = x.clone()
        ct.reset_stats()
        plain = torch.relu(settled)
        whole = sent_by_relu()
        ct.reset_stats()
        with ct.bounded(2.0**15):
            halved = torch.relu(settled)
        part = sent_by_relu()
        return plain.reveal(), halved.reveal(), whole, part

    for plain, halved, whole, part in ct.simulate(body, provider="first_party"):
        assert torch.equal(plain, halved)
        assert torch.equal(plain, VALUES.repeat(100).relu())
        assert part < whole


def test_the_innermost_bound_counts_and_none_is_left_behind():
    from cryptensor.aten import ranges

    with ct.bounded(8.0):
        with pytest.raises(KeyError), ct.bounded(2.0):
            assert ranges.current() == 2.0
            raise KeyError
        assert ranges.current() == 8.0
    assert ranges.current() is None


@pytest.mark.parametrize("bound", [0.0, -1.0, float("inf"), float("nan")])
def test_a_bound_must_be_a_positive_number(bound):
    with pytest.raises(RangeError, match="bound is"), ct.bounded(bound):
        pass


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


def test_a_calibrated_model_gives_what_the_plain_one_gives():
    model = network()
    x = torch.randn(16, 6)
    expected = model(x)
    bounds = ct.calibrate(model, torch.randn(64, 6))
    assert set(bounds) == {"1", "3"}
    assert all(bound >= 4 for bound in bounds.values())
    assert torch.equal(model(x), expected)  # the plain model is as it was

    def body(model, x):
        secret = ct.encrypt(model, src=0)
        with torch.no_grad():
            return secret(ct.cryptensor(x, src=1)).reveal(), sent_by_relu()

    calibrated = ct.simulate(body, copy.deepcopy(model), x, provider="first_party")
    plain = ct.simulate(body, network(), x, provider="first_party")
    for (value, part), (_, whole) in zip(calibrated, plain, strict=True):
        assert (value - expected).abs().max() < 2e-3
        assert part < whole


def test_the_bounds_are_powers_of_two_above_the_samples_and_are_replaced():
    model = nn.Sequential(nn.ReLU())
    assert ct.calibrate(model, torch.tensor([-3.0, 1.0])) == {"0": 16.0}
    assert ct.calibrate(model, torch.tensor([0.5]), margin=1) == {"0": 0.5}
    assert len(model[0]._forward_pre_hooks) == len(model[0]._forward_hooks) == 1


@pytest.mark.parametrize(
    ("model", "samples", "margin"),
    [
        (nn.ReLU(), (), 4.0),
        (nn.ReLU(), (torch.ones(1),), 0.5),
        (nn.Linear(1, 1), (torch.ones(1),), 4.0),
    ],
)
def test_calibrate_says_what_it_needs(model, samples, margin):
    with pytest.raises(ConfigError):
        ct.calibrate(model, *samples, margin=margin)
