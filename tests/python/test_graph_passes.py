# SPDX-License-Identifier: MIT
"""Passes of optimize(): each computes the same, in plain and in secret, and costs less."""

import pytest
import torch
import torch.nn.functional as F
from graph_comparison import Of, attention, compared, operations, with_statistics
from torch import nn

import cryptensor as ct

torch.manual_seed(3)


CONVOLUTIONS = {
    "linear": (lambda: nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8)), (3, 6)),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4)), (2, 2, 6)),
    "conv2d": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding="same", groups=2), nn.BatchNorm2d(4)),
        (2, 2, 5, 5),
    ),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2)), (2, 1, 3, 3, 3)),
    "transposed": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, bias=False), nn.BatchNorm2d(6)
        ),
        (2, 4, 3, 3),
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_batch_norm_is_folded(name):
    make, shape = CONVOLUTIONS[name]
    model = with_statistics(make())
    compared(model, torch.randn(shape), ["fold_batch_norm"])
    optimized = ct.optimize(model, torch.randn(shape), passes=["fold_batch_norm"])
    assert "norm" not in optimized.code
    assert sorted(optimized.state_dict()) == ["0.bias", "0.weight"]
    assert isinstance(optimized.get_parameter("0.weight"), nn.Parameter)


def test_folding_behind_a_transposed_convolution_costs_less():
    make, shape = CONVOLUTIONS["transposed"]
    before, after = compared(with_statistics(make()), torch.randn(shape))
    assert after[0] < before[0] and after[1] < before[1]


def shared_result(m, x):
    y = m.conv(x)
    return m.norm(y) + y


def twice(m, x):
    return m.norm(m.conv(m.conv(x)))


NOT_FOLDED = {
    "result with two readers": (shared_result, nn.Conv1d(3, 3, 1)),
    "layer called twice": (twice, nn.Conv1d(3, 3, 1)),
    "no layer": (lambda m, x: m.norm(x), nn.Identity()),
    "linear over three dimensions": (
        lambda m, x: m.norm(m.conv(x)),
        nn.Linear(4, 4),
    ),
}


@pytest.mark.parametrize("name", NOT_FOLDED)
def test_batch_norm_stays_where_folding_would_be_wrong(name):
    run, layer = NOT_FOLDED[name]
    model = with_statistics(Of(run, conv=layer, norm=nn.BatchNorm1d(3)))
    before, after = compared(model, torch.randn(2, 3, 4))
    assert after <= before
    optimized = ct.optimize(model, torch.randn(2, 3, 4))
    assert isinstance(optimized.norm, nn.BatchNorm1d)


def test_batch_norm_in_train_mode_stays_and_learns():
    model = nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3))
    x = torch.randn(4, 2, 5)
    optimized = ct.optimize(model, x)
    assert "1.running_mean" in optimized.state_dict()
    model(x), optimized(x)
    torch.testing.assert_close(optimized.state_dict()["1.running_mean"], model[1].running_mean)


ACTIVATIONS = {
    "relu": nn.ReLU(inplace=True),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "hardtanh": nn.Hardtanh(-0.5, 0.5),
    "relu6": nn.ReLU6(),
    "clamp": Of(lambda m, x: x.clamp(-0.25, 0.5)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_pool_goes_before_an_activation_that_rises(name):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), ACTIVATIONS[name], nn.MaxPool2d(2)).eval()
    before, after = compared(model, torch.randn(1, 1, 34, 34), ["pool_before_relu"])
    assert after[0] <= before[0] + 1  # the truncation that the activation did by the way
    assert after[1] < 0.75 * before[1] and after[2] < before[2]


NOT_SWAPPED = {
    "two readers": lambda m, x: (lambda y: F.max_pool2d(y, 2).sum() + y.sum())(F.relu(m.conv(x))),
    "no rising function": lambda m, x: F.max_pool2d(m.conv(x).square(), 2),
    "single steps": lambda m, x: F.max_pool2d(F.relu(m.conv(x)), 3, 1, 1),
    "positions": lambda m, x: F.max_pool2d(F.relu(m.conv(x)), 2, return_indices=True),
    "small": lambda m, x: F.max_pool2d(F.relu(m.conv(x[:, :, :8, :8])), 2),
}


@pytest.mark.parametrize("name", NOT_SWAPPED)
def test_pool_stays_where_it_is_read_otherwise(name):
    model, x = Of(NOT_SWAPPED[name], conv=nn.Conv2d(1, 4, 3)), torch.randn(1, 1, 34, 34)
    with_pass = ct.optimize(model, x, passes=["pool_before_relu"])
    assert operations(with_pass) == operations(ct.optimize(model, x, passes=[]))


def test_projections_are_merged():
    model = Of(attention, q=nn.Linear(8, 8), k=nn.Linear(8, 8, bias=False), v=nn.Linear(8, 8))
    before, after = compared(model, torch.randn(2, 5, 8), ["merge_projections"])
    assert after[0] <= before[0] - 4  # one product and one truncation instead of three
    assert after[1] < before[1]
    optimized = ct.optimize(model, torch.randn(2, 5, 8))
    assert sorted(optimized.state_dict()) == ["q_k_v.bias", "q_k_v.weight"]


def branches(m, x):
    return torch.cat([F.relu(m.a(x)), F.relu(m.b(x)), F.relu(m.c(x))], 1)


def test_branches_of_one_geometry_are_merged_with_their_activations():
    model = Of(
        branches, a=nn.Conv2d(3, 2, 3), b=nn.Conv2d(3, 4, 3, bias=False), c=nn.Conv2d(3, 3, 3)
    )
    before, after = compared(model, torch.randn(2, 3, 6, 6), ["merge_projections"])
    assert after[0] <= before[0] - 10 and after[1] <= before[1]


def test_matrix_products_by_parameters_are_merged():
    weights = {name: nn.Parameter(torch.randn(6, n)) for name, n in (("a", 4), ("b", 5))}
    model = Of(lambda m, x: torch.cat([torch.tanh(x @ m.a), x @ m.b], -1), **weights)
    before, after = compared(model, torch.randn(3, 6), ["merge_projections"])
    # The second product takes the message of the first also where they are apart.
    assert after[0] < before[0] and after[1] <= before[1]


def test_different_geometry_grouped_and_tied_layers_stay_apart():
    def run(m, x):
        return (
            m.a(x).sum() + m.b(x).sum() + m.c(x).sum() + m.d(x).sum() + m.e(x).sum() + m.f(x).sum()
        )

    model = Of(
        run,
        a=nn.Conv1d(4, 4, 3),
        b=nn.Conv1d(4, 4, 3, padding=1),
        c=nn.Conv1d(4, 4, 3, groups=2),
        d=nn.Conv1d(4, 4, 3),
        e=nn.Conv1d(4, 4, 3),
        f=nn.Conv1d(4, 4, 3, groups=2),
    )
    model.e.weight = model.d.weight
    x = torch.randn(2, 4, 6)
    assert "split" not in ct.optimize(model, x).code
    optimized = ct.optimize(model, x)
    assert optimized.e.weight is optimized.d.weight


def test_dead_outputs_are_dropped():
    def run(m, x):
        unused = m.dead(x).relu()
        a, _, c = m.wide(x).split(4, -1)
        return a + c + x.max(-1, keepdim=True)[0] + 0 * unused.shape[0]

    model = Of(run, dead=nn.Linear(8, 8), wide=nn.Linear(8, 12))
    before, after = compared(model, torch.randn(3, 8), ["drop_dead_outputs"])
    assert after[0] < before[0] and after[1] < before[1]
    optimized = ct.optimize(model, torch.randn(3, 8))
    assert optimized.wide.weight.shape == (8, 8) and not hasattr(optimized, "dead")


def test_positions_that_nobody_reads_are_dropped():
    def run(m, x):
        return m.pool(m.conv(x))[0]

    model = Of(run, conv=nn.Conv2d(1, 2, 3), pool=nn.MaxPool2d(2, return_indices=True))
    before, after = compared(model, torch.randn(2, 1, 6, 6), ["drop_dead_outputs"])
    assert after[1] < before[1]
