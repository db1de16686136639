# SPDX-License-Identifier: MIT
"""encrypt() and decrypt() on unmodified modules, between two parties."""

import copy

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor import session
from cryptensor.data import cryptensor
from cryptensor.errors import RemoteError
from cryptensor.nn import decrypt, encrypt
from cryptensor.nn.batch_norm import FoldedBatchNorm, absorb
from cryptensor.tensor import CrypTensor

torch.manual_seed(2)


def with_statistics(model):
    """Running statistics and affine weights as after training."""
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            if norm.affine:
                norm.weight.data.uniform_(0.5, 1.5)
                norm.bias.data.normal_()
    return model.eval()


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(x + self.bn2(self.conv2(y)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 6), nn.Linear(6, 6)
        self.outer.weight = self.inner.weight
        self.register_buffer("shift", torch.randn(6))
        self.register_buffer("order", torch.tensor([5, 4, 3, 2, 1, 0]))

    def forward(self, x):
        return self.outer(self.inner(x).relu() + self.shift)[:, self.order]


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU())

    def forward(self, x):
        if x.shape[0] > 1000 or x.sum().shape == (7,):
            return x
        return self.body(x)


MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), (5, 6)),
    "mlp with batch norm": (
        lambda: nn.Sequential(
            nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU6(), nn.Linear(8, 3)
        ),
        (5, 6),
    ),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(4, 4, 3, groups=2),
            nn.LeakyReLU(),
            nn.AvgPool2d(2),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(4, 3),
        ),
        (2, 1, 8, 8),
    ),
    "batch norm first": (
        lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1)),
        (2, 1, 8, 8),
    ),
    "batch norm without weights": (
        lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm1d(6, affine=False), nn.Linear(6, 2)),
        (5, 6),
    ),
    "conv1d": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2)),
        (2, 3, 9),
    ),
    "residual": (Residual, (2, 4, 6, 6)),
    "transformer layer": (
        lambda: nn.TransformerEncoderLayer(6, 2, 8, batch_first=True, activation="gelu"),
        (2, 3, 6),
    ),
    "norms": (
        lambda: nn.Sequential(
            nn.GroupNorm(2, 4),
            nn.SiLU(),
            nn.InstanceNorm2d(4),
            nn.AdaptiveMaxPool2d(3),
            nn.PReLU(4),
            nn.LayerNorm(3),
            nn.Flatten(),
            nn.Softmax(1),
        ),
        (2, 4, 7, 5),
    ),
    "tied": (Tied, (3, 6)),
    "untraceable": (Untraceable, (4, 6)),
}


def infer(model, x, owner):
    rank = session.current().engine.rank
    if rank != owner:
        for tensor in model.parameters():
            tensor.data.fill_(float("nan"))  # only the values of src may count
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.fill_(float("nan"))
    before = copy.deepcopy(model.state_dict())
    secret = encrypt(model, src=owner)
    after = model.state_dict()
    assert all(torch.equal(before[k].nan_to_num(), after[k].nan_to_num()) for k in before)
    return secret(cryptensor(x if rank != owner else None, src=1 - owner)).reveal()


@pytest.mark.parametrize("owner", [0, 1])
@pytest.mark.parametrize("name", MODELS)
def test_inference_matches_plain(name, owner):
    make, shape = MODELS[name]
    model, x = with_statistics(make()), torch.randn(shape)
    expected = model(x)
    for opened in ct.simulate(infer, model, x, owner, parties=2):
        assert (opened - expected).abs().max() < 1e-2


def train(model, x, labels):
    """One step of SGD with batch normalisation by the statistics of the batch."""
    secret = encrypt(model, src=0)
    optimizer = torch.optim.SGD(secret.parameters(), lr=0.25)
    loss = nn.CrossEntropyLoss()(secret(cryptensor(x, src=1)), labels)
    loss.backward()
    optimizer.step()
    return decrypt(secret).state_dict()


def test_training_with_batch_norm_matches_plain():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Mish(), nn.MaxPool2d(2), nn.Flatten()
    ).train()
    x, labels = torch.randn(4, 1, 6, 6), torch.tensor([0, 5, 11, 3])
    results = ct.simulate(train, model, x, labels, parties=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    nn.CrossEntropyLoss()(model(x), labels).backward()
    optimizer.step()
    for opened in results:
        for name, expected in model.state_dict().items():
            assert (opened[name] - expected).abs().max() < 2.0**-8, name


def inspect(model):
    engine = session.current().engine
    secret = encrypt(model, src=1)
    kinds = {n: (type(p), p.owner) for n, p in secret.named_parameters()}
    types = [type(m).__name__ for m in secret.modules()]
    assert all(isinstance(p, nn.Parameter) for p in secret.parameters())
    return kinds, types, engine.rank


def test_parameters_belong_to_src_and_structures_agree():
    model = with_statistics(MODELS["cnn"][0]())
    results = ct.simulate(inspect, model, parties=2)
    assert results[0][1] == results[1][1]
    assert "FoldedBatchNorm" in results[0][1]
    for kinds, _, _ in results:
        assert set(kinds.values()) == {(CrypTensor, 1)}


def test_ties_and_integer_buffers():
    def run(model):
        secret = encrypt(model)
        assert secret.inner.weight is secret.outer.weight
        assert type(secret.order) is torch.Tensor
        assert isinstance(secret.shift, CrypTensor)
        return True

    assert ct.simulate(run, Tied().eval(), parties=2) == [True, True]


def test_in_place_keeps_identity():
    def run(model):
        weight = model[0].weight
        assert encrypt(model, in_place=True) is model
        assert model[0].weight is weight
        assert isinstance(weight, CrypTensor)
        return True

    assert ct.simulate(run, MODELS["mlp"][0](), parties=2) == [True, True]


def test_decrypt_returns_the_weights():
    def run(model):
        return dict(decrypt(encrypt(model)).named_parameters())

    model = MODELS["mlp"][0]()
    for opened in ct.simulate(run, model, parties=2):
        for name, parameter in model.named_parameters():
            assert type(opened[name]) is nn.Parameter
            assert (opened[name] - parameter).abs().max() < 2**-16


def test_what_is_no_module():
    with pytest.raises(RemoteError, match=r"torch\.nn\.Module"):
        ct.simulate(encrypt, torch.ones(2), parties=2)


def test_a_weight_that_cannot_be_encoded():
    model = nn.Linear(2, 2)
    model.weight.data[0, 0] = float("nan")
    with pytest.raises(RemoteError, match="RangeError"):
        ct.simulate(encrypt, model, parties=2)


def test_folding_is_exact_in_float64():
    for name in ("mlp with batch norm", "cnn", "residual", "untraceable", "conv1d"):
        make, shape = MODELS[name]
        model, x = with_statistics(make()).double(), torch.randn(shape).double()
        expected = model(x)
        plan = absorb(model, compute=True)
        for parameter in model.parameters():
            parameter.data = plan.exact.get(id(parameter), parameter.data)
        assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
        assert (model(x) - expected).abs().max() < 1e-12


def test_tracing_patches_nothing_that_other_threads_see():
    call, seen = nn.Module.__call__, []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x):
            seen.append(nn.Module.__call__ is call)
            return self.norm(self.linear(x))

    model = Watching().eval()
    absorb(model, compute=True)
    assert seen == [True]
    assert isinstance(model.norm, FoldedBatchNorm)


def test_what_is_not_folded():
    shared = nn.Linear(4, 4)
    models = [
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train(),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4)).eval(),
        nn.Sequential(shared, nn.BatchNorm1d(4), shared).eval(),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)).eval(),
    ]
    for model in models:
        absorb(model, compute=True)
        assert not any(isinstance(m, FoldedBatchNorm) for m in model.modules())


def test_a_folded_norm_checks_its_dimensions():
    model = with_statistics(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    absorb(model, compute=True)
    with pytest.raises(ValueError, match="dimensions"):
        model(torch.ones(2, 4, 4))
