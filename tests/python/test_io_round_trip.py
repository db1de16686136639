# SPDX-License-Identifier: MIT
"""save() and load(): what is saved comes back exactly; what a party's file holds."""

import os
import stat

import pytest
import torch
from safetensors import safe_open
from saved_files import NUMBERS, SECRET, TRAINED, Tied, computed, file_of, saved
from torch import nn

import cryptensor as ct
from cryptensor.tensor import PUBLIC, SHARED, CrypTensor


def share_of(x):
    return x._secret.export_share()


def all_kinds():
    """Secrets of every kind, by name."""
    mine = ct.cryptensor(NUMBERS, src=0)
    theirs = ct.cryptensor(NUMBERS + 1, src=1)
    shared = mine + theirs
    return {
        "owned by 0": mine,
        "owned by 1": theirs,
        "shared": shared,
        "pending product": mine * theirs,
        "public values": torch.ones_like(mine),
        "truth": shared > 0,
        "integers": ct.cryptensor(torch.arange(5), src=1, dtype=torch.int64),
        "double": ct.cryptensor(NUMBERS, src=0, dtype=torch.float64),
        "scalar": shared.sum(),
        "empty": shared[:0],
        "transposed": shared.t(),
        "expanded": shared[:1].expand(3, 4),
        "leaf": ct.cryptensor(NUMBERS, src=0).requires_grad_(),
        "plain": torch.arange(4) + 10 * ct.rank(),
        "plain half": torch.ones(2, 2, dtype=torch.bfloat16),
    }


def facts(named):
    """All that must survive: at this party, with the shares themselves."""
    out = {}
    for name, x in named.items():
        if isinstance(x, CrypTensor):
            told = (x._secret.fraction_bits, x.owner, x.requires_grad, share_of(x).tolist())
        else:
            told = (x.requires_grad, x.tolist())
        out[name] = (type(x), x.dtype, tuple(x.shape), told)
    return out


@pytest.mark.parametrize("parties", [2, 3])
def test_secrets_of_every_kind_come_back_exactly(tmp_path, parties):
    def write():
        named = all_kinds()
        ct.save(named, tmp_path / "all.ct")
        named["transposed"] = named["transposed"].contiguous()
        return facts(named), [named[name].reveal() for name in ("shared", "truth", "integers")]

    def read():
        named = ct.load(tmp_path / "all.ct")
        return facts(named), [named[name].reveal() for name in ("shared", "truth", "integers")]

    saved, loaded = (ct.simulate(fn, parties=parties) for fn in (write, read))
    for (before, values), (after, again) in zip(saved, loaded, strict=True):
        assert before == after
        assert all(torch.equal(a, b) for a, b in zip(values, again, strict=True))
    owners = [entry[-1][1] for entry in saved[0][0].values() if len(entry[-1]) == 4]
    assert {0, 1, SHARED, PUBLIC} <= set(owners)


def test_a_single_tensor(tmp_path):
    def write():
        x = ct.cryptensor(NUMBERS, src=1)
        ct.save(x, tmp_path / "x.ct")
        ct.save(NUMBERS, tmp_path / "plain.ct")
        return x.reveal()

    def read():
        return ct.load(str(tmp_path / "x.ct")).reveal(), ct.load(tmp_path / "plain.ct")

    before = ct.simulate(write)[0]
    for secret, plain in ct.simulate(read):
        assert torch.equal(secret, before)
        assert torch.equal(plain, NUMBERS)


@pytest.mark.parametrize("target", ["plain", "encrypted"])
def test_a_model_computes_the_same_after_loading(tmp_path, target):
    def write():
        model = ct.encrypt(TRAINED, src=0)
        ct.save(model, tmp_path / "model.ct")
        return computed(model), list(model.state_dict())

    def read():
        into = Tied().eval()
        if target == "encrypted":
            into = ct.encrypt(into, src=1)
        kept = into.inner.weight
        model = ct.load(tmp_path / "model.ct", into=into)
        assert model is into and model.inner.weight is kept is model.outer.weight
        assert isinstance(kept, nn.Parameter) and isinstance(kept, CrypTensor)
        assert kept.requires_grad and kept.owner == 0
        assert type(model.order) is torch.Tensor
        return computed(model), list(model.state_dict())

    # Products and this kind of truncation are functions of the values: equal means equal.
    saved, loaded = (ct.simulate(fn, truncation="exact") for fn in (write, read))
    for before, after in zip(saved, loaded, strict=True):
        assert torch.equal(before[0], after[0])
        assert before[1] == after[1]


def test_a_model_without_a_module_is_its_state_dict(tmp_path):
    def body():
        model = ct.encrypt(Tied().eval(), src=1)
        ct.save(model, tmp_path / "model.ct")
        state = ct.load(tmp_path / "model.ct")
        assert list(state) == list(model.state_dict())
        assert state["inner.weight"] is state["outer.weight"]
        assert not state["inner.weight"].requires_grad
        assert torch.equal(state["shift"].reveal(), model.shift.reveal())

    ct.simulate(body)


def test_between_processes(tmp_path):
    path = str(tmp_path / "model.ct")

    def write():
        ct.save(ct.encrypt(nn.Linear(3, 2), src=0), path)

    def read():
        return ct.load(path, into=nn.Linear(3, 2)).weight.reveal().shape

    ct.launch(write)
    assert ct.launch(read, parties=2) == [(2, 3), (2, 3)]


def test_a_recurrent_layer_sees_its_loaded_weights(tmp_path):
    def body():
        ct.save(ct.encrypt(nn.LSTM(3, 2), src=1), tmp_path / "rnn.ct")
        rnn = ct.load(tmp_path / "rnn.ct", into=nn.LSTM(3, 2))
        assert rnn.weight_ih_l0.owner == 1
        assert rnn._flat_weights[0] is rnn.weight_ih_l0

    ct.simulate(body)


def test_a_loaded_model_trains(tmp_path):
    def body():
        ct.save(ct.encrypt(nn.Linear(4, 1), src=0), tmp_path / "model.ct")
        model = ct.load(tmp_path / "model.ct", into=nn.Linear(4, 1))
        before = model.weight.reveal()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        model(ct.cryptensor(NUMBERS, src=1)).square().mean().backward()
        optimizer.step()
        return (model.weight.reveal() - before).abs().max()

    assert ct.simulate(body)[0] > 0.01


def test_what_is_owned_is_at_its_owner_only(tmp_path):
    path = saved(tmp_path, parties=3)
    names = []
    for party in range(3):
        with safe_open(file_of(path, party), framework="pt") as file:
            names.append(set(file.keys()))
            metadata = file.metadata()
            elements = {name: file.get_tensor(name) for name in names[-1]}
        assert metadata["party"] == str(party) and metadata["parties"] == "3"
        assert metadata["precision"] == "16" and metadata["format"] == "cryptensor"
        assert len(metadata["checksum"]) == 64
        assert elements["sum"].dtype == torch.int64
    assert names == [{"mine", "sum", "plain"}, {"sum", "plain"}, {"sum", "plain"}]
    word = round(SECRET * 2**16).to_bytes(8, "little")
    assert [word in file_of(path, p).read_bytes() for p in range(3)] == [True, False, False]


def test_files_are_private_and_nothing_else_is_left(tmp_path):
    for party in range(2):
        file_of(tmp_path / "x.ct", party).write_text("older")
        file_of(tmp_path / "x.ct", party).chmod(0o644)
    umask = os.umask(0)
    try:
        path = saved(tmp_path)
    finally:
        os.umask(umask)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.ct.party0", "x.ct.party1"]
    for party in range(2):
        assert stat.S_IMODE(file_of(path, party).stat().st_mode) == 0o600


def test_the_cost_is_two_agreements_and_one(tmp_path):
    def body():
        x = ct.cryptensor(NUMBERS, src=0)
        ct.reset_stats()
        ct.save(x, tmp_path / "x.ct")
        rounds = [ct.stats().rounds]
        ct.load(tmp_path / "x.ct")
        return [*rounds, ct.stats().rounds]

    assert ct.simulate(body, parties=3) == [[8, 12]] * 3
