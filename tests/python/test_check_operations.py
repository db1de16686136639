# SPDX-License-Identifier: MIT
"""check() and a run of the protocol agree on what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from module_cases import GROUPS
from torch import nn

import cryptensor as ct
from cryptensor.errors import RemoteError

X = torch.linspace(-2, 2, 16).reshape(4, 4) + 0.1


class Wrapped(nn.Module):
    """A case of the coverage as one module."""

    def __init__(self, case):
        super().__init__()
        self.case, self.inner = case, case.make().double()

    def forward(self, *inputs):
        return self.case.function(self.inner, *inputs)


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


@pytest.mark.parametrize("group", GROUPS)
def test_supported_modules(group):
    """The report holds a cost only if all parties ran the protocol to its end."""
    torch.manual_seed(1)
    for name, case in GROUPS[group].items():
        for training in (False, True) if case.training else (False,):
            report = ct.check(Wrapped(case).train(training), *case.inputs)
            assert report.ok and report.rounds is not None, f"{name}, {training=}: {report}"


def branch(x):
    if x.sum() > 0:
        return x * 2
    return x


def plain_only(x):
    if type(x) is not torch.Tensor:
        raise TypeError("not a plain tensor")
    return x


def buffer(x):
    found = torch.zeros(4)
    found[0] = x[0, 0]
    return found + 1


def ctc(x):
    lengths = torch.tensor([4]), torch.tensor([2])
    return F.ctc_loss(x[:, None].log_softmax(-1), torch.tensor([[1, 2]]), *lengths)


# What raises at a party, and the operations that check() names.
REFUSED = {
    "branch": (branch, "SecretLeakError", ["__bool__"]),
    "loop": (lambda x: x[: int(x[3, 3])], "SecretLeakError", ["__int__"]),
    "item": (lambda x: x * x[0, 0].item(), "SecretLeakError", ["aten._local_scalar_dense.default"]),
    "list": (lambda x: x + len(x.tolist()), "SecretLeakError", ["tolist"]),
    "array": (lambda x: x + x.numpy().shape[0], "SecretLeakError", ["numpy"]),
    "conversion": (lambda x: x * np.asarray(x).sum(), "SecretLeakError", ["__array__"]),
    "class": (plain_only, "TypeError", ["TypeError"]),
    "nonzero": (lambda x: x.nonzero() * 1.0, "SecretLeakError", ["aten.nonzero.default"]),
    "mask": (lambda x: x[x > 0], "SecretLeakError", ["aten.index.Tensor"]),
    "buffer": (buffer, "PublicSinkError", ["aten.copy_.default"]),
    "rounding": (lambda x: x.floor(), "UnsupportedOperation", ["aten.floor.default"]),
    "rounding in place": (
        lambda x: (x * 1).floor_(),
        "UnsupportedOperation",
        ["aten.floor.default"],
    ),
    "determinant": (torch.linalg.slogdet, "UnsupportedOperation", ["aten._linalg_slogdet.default"]),
    "ctc": (ctc, "UnsupportedOperation", ["aten._ctc_loss.Tensor"]),
    "fft": (lambda x: torch.fft.fft(x).abs(), "UnsupportedOperation", ["aten._fft_r2c.default"]),
    "fractional pool": (
        lambda x: F.fractional_max_pool2d(x[None], 2, 2),
        "UnsupportedOperation",
        ["aten.fractional_max_pool2d.default"],
    ),
    "sparse": (lambda x: x.to_sparse(), "SecretLeakError", ["torch.Tensor.to_sparse"]),
    "too large": (lambda x: x + 1e20, "RangeError", ["aten.add.Tensor"]),
    "division by 0": (lambda x: x / 0.0, "ZeroDivisionError", ["aten.div.Tensor"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_calls(name):
    function, kind, operations = REFUSED[name]
    report = ct.check(Call(function), X)
    assert [found.operation for found in report.unsupported][: len(operations)] == operations
    assert not report.ok and report.rounds is None and report.layers is None

    with pytest.raises(RemoteError) as caught:
        ct.simulate(lambda x: Call(function)(ct.cryptensor(x)), X, provider="first_party")
    assert caught.value.kind == kind


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 4), Call(torch.frac))
        self.second = nn.Linear(4, 4)

    def forward(self, x):
        x = self.first(x)
        if (x > 0).any():  # control flow
            x = x + 1
        for row in range(2):
            x = self.second(x).ceil() + row
        return torch.fft.fft(x).real.trunc()  # behind a complex tensor


def test_all_are_listed_with_their_places():
    found = ct.check(Net(), X).unsupported
    assert [f.operation.split(".")[1] if "." in f.operation else f.operation for f in found] == [
        "frac",
        "__bool__",
        "ceil",
        "_fft_r2c",
        "view_as_real",
        "trunc",
    ]
    here = Path(__file__).read_text().splitlines()
    for entry in found[1:]:
        file, number = entry.place.line.rsplit(":", 1)
        assert Path(file) == Path(__file__)
        assert here[int(number) - 1].strip() == entry.place.text
    assert found[1].place.text.endswith("# control flow")
    assert found[0].place.module == "first.1" and found[1].place.module == ""
    assert found[2].times == 2
    assert "Rounding" in found[2].advice and "torch.where" in found[1].advice


def test_what_a_secret_was_written_into_counts_as_secret():
    def function(x):
        found = torch.zeros(4)
        found[0] = x[0, 0]
        return found.view(2, 2).floor(), torch.ones(4).floor()

    operations = [entry.operation for entry in ct.check(Call(function), X).unsupported]
    assert operations == ["aten.copy_.default", "aten.floor.default"]


def test_public_parts():
    """Weights that stay public, and integers that are secret on demand."""
    model = nn.Sequential(nn.Linear(4, 2))
    assert ct.check(model, X, encrypt_model=False).setup is None
    table, places = nn.Embedding(5, 3), torch.tensor([1, 4])
    assert ct.check(table, places).layers[1].rounds == 0  # its owner looks up alone
    assert ct.check(table, places, secret_integers=True).layers[1].rounds > 0
    floor = Call(lambda x: x + torch.floor(torch.ones(4)))
    assert ct.check(floor, X).ok


def test_the_model_and_the_seed_stay_as_they_were():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), Call(buffer))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    example, state = X.clone(), torch.get_rng_state()
    ct.check(model, example)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(example, X)
    for name, value in model.state_dict().items():
        assert type(value) is torch.Tensor and torch.equal(value, before[name])
    assert not model[0]._forward_hooks and not model[0]._forward_pre_hooks


def test_what_has_no_encoding():
    bad = nn.Linear(4, 2)
    bad.weight.data[0, 0] = float("nan")
    found = ct.check(bad, X).unsupported
    assert [f.operation for f in found] == ["cryptensor.encrypt"] and "finite" in found[0].advice
    found = ct.check(nn.Linear(4, 2), X * float("inf")).unsupported
    assert [f.operation for f in found] == ["cryptensor.cryptensor"]
    assert not ct.check(Call(torch.abs), torch.ones(3, dtype=torch.complex64)).ok


def test_the_models_own_errors_are_raised():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        ct.check(nn.Linear(3, 2), X)
    with pytest.raises(AttributeError):
        ct.check(Call(lambda x: x.no_such_method()), X)


def test_inside_a_session():
    def run(x):
        report = ct.check(nn.Linear(4, 2), x)
        return report.ok, ct.cryptensor(x).reveal()

    for ok, opened in ct.simulate(run, X, provider="first_party"):
        assert ok and torch.allclose(opened, X, rtol=0, atol=2**-17)
