# SPDX-License-Identifier: MIT
"""What is not saved, and modules that a save does not fit into: named at all parties."""

import errno
import os
import pickle

import pytest
import torch
from saved_files import NUMBERS, file_of, outcomes, refused, saved
from torch import nn

import cryptensor as ct
from cryptensor import session
from cryptensor.errors import ConfigError, FileError, SecretLeakError, ShapeError
from cryptensor.io import header
from cryptensor.tensor import PUBLIC

MISFITS = {
    "names": (lambda: nn.Sequential(nn.Linear(3, 2)), ConfigError, "lacks 0.weight"),
    "training": (lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), ConfigError, "eval"),
    "shape": (lambda: nn.Linear(2, 2), ShapeError, "(2, 2) in the module; it must be (2, 3)"),
    "dtype": (lambda: nn.Linear(3, 2).double(), ConfigError, "it must be torch.float32"),
    "no module": (lambda: {"weight": None}, ConfigError, "into is of type dict"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_module_that_does_not_fit_is_refused_at_all(tmp_path, name):
    make, kind, text = MISFITS[name]

    def body():
        ct.save(ct.encrypt(nn.Linear(3, 2), src=0), tmp_path / "m.ct")
        ct.load(tmp_path / "m.ct", into=make() if ct.rank() else nn.Linear(3, 2))

    refused(outcomes(body), kind, "party 1 could not load its file", text)


def test_what_was_two_tensors_is_not_loaded_into_one(tmp_path):
    def body(tied):
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        ct.save(ct.encrypt(model, src=0), tmp_path / "m.ct")
        if tied:
            model[1].weight = model[0].weight
        ct.load(tmp_path / "m.ct", into=model)

    refused(outcomes(lambda: body(True)), ConfigError, *["must be tied"] * 2)
    assert outcomes(lambda: body(False)) == [None, None]


def test_tied_ones_part_in_a_module_that_does_not_tie(tmp_path):
    def body():
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[1].weight = model[0].weight
        ct.save(ct.encrypt(model, src=0), tmp_path / "m.ct")
        apart = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        ct.load(tmp_path / "m.ct", into=apart)
        with torch.no_grad():
            apart[0].weight += 1
        difference = apart[0].weight.reveal() - apart[1].weight.reveal()
        assert torch.equal(difference, torch.ones(3, 3))

    ct.simulate(body)


def test_a_tensor_is_not_loaded_into_a_module(tmp_path):
    def body():
        ct.save(ct.cryptensor(NUMBERS), tmp_path / "x.ct")
        ct.load(tmp_path / "x.ct", into=nn.Linear(3, 2))

    refused(outcomes(body), ConfigError, "holds a single tensor", "holds a single tensor")


class WithState(nn.Linear):
    def get_extra_state(self):
        return {"calls": 3}


UNSAVED = {
    "a list": (lambda: [NUMBERS], "obj is of type list"),
    "a number in a dict": (lambda: {"lr": 0.1}, "obj['lr'] is of type float"),
    "a name": (lambda: {7: NUMBERS}, "the name 7"),
    "the reserved name": (lambda: {"__metadata__": NUMBERS}, "other than '__metadata__'"),
    "a name without an encoding": (lambda: {"\ud800": NUMBERS}, "cannot be written"),
    "complex": (lambda: {"z": torch.ones(2, dtype=torch.complex64)}, "obj['z'] is of dtype"),
    "sparse": (lambda: {"s": NUMBERS.to_sparse()}, "obj['s'] is sparse"),
    "extra state": (lambda: WithState(2, 2), "'_extra_state'] is of type dict"),
}


@pytest.mark.parametrize("name", UNSAVED)
def test_what_cannot_be_saved_is_named_at_all(tmp_path, name):
    make, text = UNSAVED[name]
    errors = outcomes(lambda: ct.save(make() if ct.rank() else NUMBERS, tmp_path / "x.ct"))
    if name == "a name without an encoding":  # found late, when all agree on the name
        errors = outcomes(lambda: ct.save(make(), tmp_path / "x.ct"))
        refused(errors, ConfigError, text, text)
    else:
        refused(errors, ConfigError, "party 1 could not save", text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [7, None, "", ".", "folder/", "nul\0"])
def test_a_path_names_a_file(path):
    for call in (lambda: ct.save(NUMBERS, path), lambda: ct.load(path)):
        refused(outcomes(call), ConfigError, "path is", "path is")


@pytest.mark.parametrize(
    "other",
    [
        lambda: {"x": ct.cryptensor(NUMBERS, src=1)},
        lambda: {"y": ct.cryptensor(NUMBERS, src=0)},
        lambda: {"x": ct.cryptensor(NUMBERS, src=0)[:2]},
        lambda: {"x": ct.cryptensor(NUMBERS, src=0, dtype=torch.float64)},
        lambda: ct.cryptensor(NUMBERS, src=0),
    ],
)
def test_parties_that_save_different_things_are_told(tmp_path, other):
    def body():
        named, others = {"x": ct.cryptensor(NUMBERS, src=0)}, None
        source = session.current().engine
        # Both parties make both, since an input needs all of them.
        others = other()
        assert source is session.current().engine
        ct.save(others if ct.rank() else named, tmp_path / "x.ct")

    refused(outcomes(body), ConfigError, *["obj differs between party 0 and party 1"] * 2)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_of_another_session_is_refused(tmp_path):
    foreign = ct.simulate(lambda: ct.cryptensor(NUMBERS))
    errors = outcomes(lambda: ct.save({"x": foreign[ct.rank()]}, tmp_path / "x.ct"))
    refused(errors, ConfigError, *["obj['x'] belongs to another session"] * 2)


def test_parties_at_different_calls_are_told(tmp_path):
    path = saved(tmp_path)
    errors = outcomes(lambda: ct.load(path) if ct.rank() else ct.save(NUMBERS, path))
    refused(errors, ConfigError, "at ct.load() and this one at ct.save()", "at ct.save() and this")


def test_a_full_disk_at_one_party_leaves_all_old_files(tmp_path, monkeypatch):
    path = saved(tmp_path)
    before = [file_of(path, party).read_bytes() for party in range(2)]
    fsync = os.fsync

    def full(descriptor):
        if "party1" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    errors = outcomes(lambda: ct.save(NUMBERS, path))
    refused(errors, FileError, "party 1 could not write its file", "No space left on device")
    assert [file_of(path, party).read_bytes() for party in range(2)] == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_not_there(tmp_path):
    errors = outcomes(lambda: ct.save(NUMBERS, tmp_path / "none" / "x.ct"))
    refused(errors, FileError, *["No such file or directory"] * 2)
    file_of(tmp_path / "x.ct", 0).mkdir()
    errors = outcomes(lambda: ct.save(NUMBERS, tmp_path / "x.ct"))
    refused(errors, FileError, "it is a directory", "party 0 could not write")


def test_an_unexpected_error_reaches_the_others(tmp_path):
    class Broken(nn.Linear):
        def state_dict(self, *args, **kwargs):
            raise KeyError("own")

    def body():
        ct.save(Broken(2, 2) if ct.rank() else nn.Linear(2, 2), tmp_path / "x.ct")

    assert [type(error) for error in outcomes(body)] == [FileError, KeyError]


def test_pickling_a_secret_points_here(tmp_path):
    def body():
        x = ct.cryptensor(NUMBERS)
        for action in (lambda: torch.save(x, tmp_path / "x.pt"), lambda: pickle.dumps(x)):
            with pytest.raises(SecretLeakError, match=r"cryptensor\.save\(x, path\)"):
                action()
        state = ct.encrypt(nn.Linear(2, 2)).state_dict()
        with pytest.raises(SecretLeakError, match=r"cryptensor\.save\(x, path\)"):
            torch.save(state, tmp_path / "model.pt")

    ct.simulate(body)


def test_the_limits_are_those_of_the_engine():
    def body():
        engine = session.current().engine
        share = torch.zeros(2, dtype=torch.int64)
        assert engine.import_share(share, header._MAX_FRACTION_BITS, PUBLIC).is_public
        for bits, owner in ((header._MAX_FRACTION_BITS + 1, 0), (16, 2), (16, PUBLIC - 1)):
            with pytest.raises(ConfigError):
                engine.import_share(share, bits, owner)

    ct.simulate(body)
