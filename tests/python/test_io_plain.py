# SPDX-License-Identifier: MIT
"""load_from_party(): plain files of one party become secrets, and run no code."""

import os

import pytest
import safetensors.torch
import torch
from saved_files import NUMBERS, TRAINED, Tied, computed, outcomes, refused
from torch import nn

import cryptensor as ct
from cryptensor.errors import ConfigError, FileError, ShapeError


def only_at(party, write, path):
    """The file is written by one party; the others are given a path that is not there."""
    if ct.rank() != party:
        return f"{path}.elsewhere"
    write(path)
    return path


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_a_plain_model_of_one_party(tmp_path, name):
    def write(path):
        state = {k: v.clone() for k, v in TRAINED.state_dict().items()}
        if name.endswith("safetensors"):
            safetensors.torch.save_file(state, path)
        else:
            torch.save(state, path)

    def body():
        path = only_at(1, write, tmp_path / name)
        model = ct.load_from_party(path, src=1, into=Tied().eval())
        assert model.inner.weight.owner == 1 and model.inner.weight is model.outer.weight
        return computed(model), computed(ct.encrypt(TRAINED, src=1))

    for loaded, encrypted in ct.simulate(body, truncation="exact"):
        assert torch.equal(loaded, encrypted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_a_plain_tensor_of_one_party(tmp_path, dtype):
    values = torch.arange(6).reshape(2, 3).to(dtype)

    def body():
        path = only_at(1, lambda path: torch.save(values, path), tmp_path / "x.pt")
        x = ct.load_from_party(path, src=1)
        assert x.owner == 1 and x.dtype == dtype
        return x.reveal()

    assert all(torch.equal(x, values) for x in ct.simulate(body))


class Exploit:
    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


def test_a_plain_file_runs_no_code(tmp_path):
    def write(path):
        exploit = Exploit()
        exploit.target = tmp_path / "executed"
        torch.save({"x": exploit}, path)

    def body():
        ct.load_from_party(only_at(0, write, tmp_path / "x.pt"), src=0)

    refused(outcomes(body), FileError, "cannot be read as plain tensors", "party 0 could not load")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content, make, kind, text",
    [
        ({"x": NUMBERS}, lambda: None, ConfigError, "it must be a tensor where into is None"),
        (NUMBERS, lambda: nn.Linear(2, 2), ConfigError, "it must be a state_dict of tensors"),
        ({"w": NUMBERS}, lambda: nn.Linear(2, 2), ConfigError, "lacks weight, bias and has w"),
        ({"0": NUMBERS}, lambda: nn.ParameterList([torch.ones(2)]), ShapeError, "(3, 4), as saved"),
        (None, lambda: nn.Linear(2, 2), FileError, "FileNotFoundError"),
    ],
)
def test_a_plain_file_that_does_not_fit(tmp_path, content, make, kind, text):
    def write(path):
        if content is not None:
            torch.save(content, path)

    def body():
        ct.load_from_party(only_at(0, write, tmp_path / "x.pt"), src=0, into=make())

    refused(outcomes(body), kind, text, "party 0 could not load the plain file")


def test_arguments_of_load_from_party(tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "x.pt")

    def load(**given):
        return outcomes(lambda: ct.load_from_party(tmp_path / "x.pt", **given))

    refused(load(src=2), ConfigError, "src is 2", "src is 2")
    refused(load(into=7), ConfigError, "into is of type int", "into is of type int")
    errors = outcomes(
        lambda: ct.load_from_party(
            tmp_path / "x.pt", into=nn.Linear(2, 2) if ct.rank() == 0 else None
        )
    )
    refused(errors, ConfigError, *["into is a module at some parties only"] * 2)
    errors = outcomes(
        lambda: ct.load_from_party(tmp_path / "x.pt", into=ct.encrypt(nn.Linear(2, 2)))
    )
    refused(errors, ConfigError, *["into holds secrets already"] * 2)
