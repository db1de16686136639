# SPDX-License-Identifier: MIT
"""No value leaves a secret without reveal(), and unsupported operations say so by name."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cryptensor import _C
from cryptensor.data import to_tensor
from cryptensor.errors import (
    ConfigError,
    PublicSinkError,
    SecretLeakError,
    UnsupportedOperation,
)
from cryptensor.tensor import SHARED, CrypTensor

X = torch.tensor([[3.140625, -2.71875], [1.4140625, 0.5]])


@pytest.fixture
def x():
    engine = _C.plaintext_engine()
    return CrypTensor(engine.input(to_tensor(X), 0), engine)


LEAKS = {
    "item": lambda x: x[0, 0].item(),
    "bool": lambda x: bool(x[0, 0]),
    "if": lambda x: 1 if x[0, 0] > 0 else 2,
    "float": lambda x: float(x[0, 0]),
    "int": lambda x: int(x[0, 0]),
    "complex": lambda x: complex(x[0, 0]),
    "index": lambda x: [1, 2, 3][x[0, 0]],
    "range": lambda x: range(x[0, 0]),
    "numpy": lambda x: x.numpy(),
    "Tensor.numpy": lambda x: torch.Tensor.numpy(x),
    "asarray": lambda x: np.asarray(x),
    "tolist": lambda x: x.tolist(),
    "Tensor.tolist": lambda x: torch.Tensor.tolist(x),
    "contains": lambda x: 1.0 in x,
    "mask": lambda x: x[x > 0],
    "plain by secret mask": lambda x: X[x > 0],
    "masked_select": lambda x: torch.masked_select(x, x > 0),
    "nonzero": lambda x: (x > 0).nonzero(),
    "where of one argument": lambda x: torch.where(x > 0),
    "equal": lambda x: torch.equal(x, x.clone()),
    "allclose": lambda x: torch.allclose(x, x.clone()),
    "unique": lambda x: torch.unique(x),
    "is_nonzero": lambda x: torch.is_nonzero(x[0, 0]),
    "builtin max": lambda x: max(x[0, 0], x[0, 1]),
    "sorted": lambda x: sorted([x[0, 0], x[0, 1]]),
    "storage": lambda x: x.storage(),
    "untyped_storage": lambda x: x.untyped_storage(),
    "data_ptr": lambda x: x.data_ptr(),
    "Tensor.data_ptr": lambda x: torch.Tensor.data_ptr(x),
    "share_memory_": lambda x: x.share_memory_(),
    "set_": lambda x: x.set_(),
    "from_dlpack": lambda x: torch.from_dlpack(x),
    "pickle": lambda x: pickle.dumps(x),
    "torch.save": lambda x: torch.save(x, io.BytesIO()),
    "save parameter": lambda x: torch.save(nn.Parameter(x), io.BytesIO()),
    "index_select": lambda x: X.index_select(0, (x > 0)[0]),
    "gather by a mask": lambda x: x.gather(0, x > 0),
}


@pytest.mark.parametrize("name", LEAKS)
def test_reading_is_refused(name, x):
    with pytest.raises(SecretLeakError) as caught:
        LEAKS[name](x)
    assert_silent(str(caught.value))


def assert_silent(text):
    for value in ("3.14", "-2.7", "1.41", "0.5", "205824"):
        assert value not in text


@pytest.mark.parametrize("show", [repr, str, lambda x: f"{x}", lambda x: f"{x[0, 0]:.3f}", print])
def test_text_shows_no_values(show, x, capsys):
    text = (show(x) or "") + capsys.readouterr().out
    assert "CrypTensor(shape=(" in text
    assert "owner=" in text
    assert_silent(text)


def test_text_of_a_parameter_and_of_a_result(x):
    assert_silent(repr(nn.Parameter(x)))
    assert "requires_grad=True" in repr(nn.Parameter(x))
    assert "grad_fn=" in repr(nn.Parameter(x) * 2)
    assert "owner=public" in repr(torch.zeros_like(x))
    assert_silent(repr(nn.ParameterList([nn.Parameter(x)])))


SINKS = {
    "add_": lambda x: X.clone().add_(x),
    "+=": lambda x: X.clone().__iadd__(x),
    "copy_": lambda x: X.clone().copy_(x),
    "setitem": lambda x: X.clone().__setitem__(0, x[0]),
    "index_put": lambda x: X.clone().__setitem__(torch.tensor([0]), x[:1]),
    "out": lambda x: torch.add(x, x, out=torch.empty(2, 2)),
    "running statistics": lambda x: F.batch_norm(x, X[0] * 0, X[0] * 0, training=True),
    "load_state_dict": lambda x: nn.Linear(2, 2, bias=False).load_state_dict({"weight": x}),
}


@pytest.mark.parametrize("name", SINKS)
def test_a_plain_destination_is_refused(name, x):
    with pytest.raises((PublicSinkError, RuntimeError)) as caught:
        SINKS[name](x)
    assert "plain tensor" in str(caught.value)


def test_data_setter(x):
    with pytest.raises(PublicSinkError):
        x.data = X
    y = x * 2
    x.data = y
    assert torch.equal(x.reveal(), 2 * X)


def test_public_values_may_be_read(x):
    ones = torch.ones_like(x)
    assert ones[0, 0].item() == 1
    assert bool(ones[0, 0])
    assert float(ones[0, 1]) == 1.0
    assert [1, 2, 3][ones[0, 0]] == 2


UNSUPPORTED = {
    "aten.floor": torch.floor,
    "aten.round": torch.round,
    "aten.remainder": lambda x: x % 2,
    "aten.cummax": lambda x: x.cummax(0),
    "aten.mode": torch.mode,
    "aten.multinomial": lambda x: torch.multinomial(x, 1),
    "aten.linalg_inv_ex": torch.linalg.inv,
    "aten._fft_r2c": torch.fft.rfft,
    "meta": lambda x: x.to("meta"),
    "x != 0": lambda x: x.bool(),
    "aten._cdist_forward": lambda x: torch.cdist(x, x),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_operations_are_named(name, x):
    with pytest.raises(UnsupportedOperation) as caught:
        UNSUPPORTED[name](x)
    assert name in str(caught.value)
    assert_silent(str(caught.value))


def test_the_refusal_names_the_line_and_a_neighbour(x):
    with pytest.raises(UnsupportedOperation, match=r"test_front_end_guards\.py:\d+") as caught:
        torch.linalg.inv(x)
    assert "nearest supported operation is" in str(caught.value)
    with pytest.raises(NotImplementedError):
        torch.linalg.inv(x)


def test_logical_operations_want_bool(x):
    with pytest.raises(UnsupportedOperation, match="dtype bool"):
        torch.logical_and(x, x)


def test_sessions_do_not_mix(x):
    other = _C.plaintext_engine()
    y = CrypTensor(other.input(to_tensor(X), 0), other)
    with pytest.raises(ConfigError, match="different sessions"):
        x + y


def test_division_by_zero(x):
    with pytest.raises(ZeroDivisionError):
        x / 0
    with pytest.raises(ZeroDivisionError):
        x / torch.zeros(2, 2)


def test_deepcopy_is_independent(x):
    y = copy.deepcopy(x)
    y.add_(1)
    assert torch.equal(x.reveal(), X)
    parameter = copy.deepcopy(nn.Parameter(x))
    assert isinstance(parameter, nn.Parameter)
    assert isinstance(parameter, CrypTensor)
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(parameter * 2)


def test_numpy_numbers_multiply(x):
    assert torch.equal((np.float64(2) * x).reveal(), 2 * X)


def test_reveal_and_its_alias(x):
    assert torch.equal(x.reveal(), X)
    assert torch.equal(x.get_plain_text(), X)
    assert x.reveal(dst=0).dtype == torch.float32
    assert not x.is_public
    assert x.owner == SHARED
