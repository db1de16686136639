# SPDX-License-Identifier: MIT
"""Sessions of the replicated engine: three parties and no dealer."""

from __future__ import annotations

import pytest
import torch
from engines import PartyError, run
from torch import nn

import cryptensor as ct
from cryptensor.errors import ConfigError, Error, PeerLost, RemoteError


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 16), nn.GELU()
    return nn.Sequential(*layers, nn.LayerNorm(16), nn.Softmax(-1)).eval()


def infer(images: torch.Tensor) -> tuple:
    with torch.no_grad():
        secret = ct.encrypt(model(), src=2)(ct.cryptensor(images, src=1))
        total = ct.stats().total()
        return secret.reveal(), ct.world_size(), total.rounds, total.dealer_bytes


@pytest.mark.parametrize("run", [ct.simulate, ct.launch])
def test_a_model(run):
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        expected = model()(images)
    answers = run(infer, images, engine="replicated")
    assert len(answers) == 3
    for rank, (value, size, rounds, dealt) in enumerate(answers):
        assert size == 3
        assert (value - expected).abs().max() < 1e-3
        assert rounds > 0
        assert (dealt > 0) == (rank == 1)  # party 2 deals to party 1


def train(layer: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    layer = ct.encrypt(layer, src=0)
    x, y = ct.cryptensor(x, src=1), ct.cryptensor(y, src=2)
    step = torch.optim.SGD(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        step.zero_grad()
        loss = ((layer(x) - y) ** 2).mean()
        loss.backward()
        step.step()
        losses.append(loss.detach().reveal())
    return torch.stack(losses)


def test_training_follows_the_additive_engine():
    torch.manual_seed(1)
    work = train, nn.Linear(4, 1), torch.randn(8, 4), torch.randn(8, 1)
    replicated = ct.simulate(*work, engine="replicated")[0]
    assert (replicated - ct.simulate(*work, parties=3)[0]).abs().max() < 1e-3
    assert replicated[-1] < replicated[0]


def test_shares_survive_a_file(tmp_path):
    values = torch.arange(6.0).reshape(2, 3)

    def save_and_load():
        file = tmp_path / f"party{ct.rank()}.share"
        ct.save(torch.relu(ct.cryptensor(values, src=0) - 2), file)
        loaded = ct.load(file)
        return (loaded * loaded).reveal()

    for value in ct.simulate(save_and_load, engine="replicated"):
        assert torch.equal(value, (values - 2).clamp(min=0) ** 2)


BAD = {
    "parties": {"parties": 2},
    "provider": {"provider": "first_party"},
    "store": {"store": "/tmp"},
    "dealer": {"dealer": "127.0.0.1:1"},
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_engine_does_not_have(name):
    with pytest.raises(ConfigError, match=name):
        ct.launch(infer, torch.rand(1), engine="replicated", **BAD[name])


def test_other_wrong_choices():
    with pytest.raises(ConfigError, match="engine is 'triplicate'"):
        ct.simulate(infer, torch.rand(1), engine="triplicate")
    with pytest.raises(ConfigError, match="provider is 'none'"):
        ct.simulate(infer, torch.rand(1), provider="none")


def test_every_kind_of_truncation():
    values = torch.tensor([1.5, -2.25, 1000.0])

    def square():
        return (ct.cryptensor(values, src=0) * ct.cryptensor(values, src=1)).reveal()

    for kind in ("local", "one_bit", "interactive", "exact"):
        for value in ct.simulate(square, engine="replicated", truncation=kind):
            assert (value - values**2).abs().max() <= 2.0**-16


def test_checked_mode_raises_everywhere():
    def overflow():
        x = ct.cryptensor(torch.full((3,), 2.0**30), src=0)
        return (x * x).reveal()

    with pytest.raises(RemoteError) as failure:
        ct.simulate(overflow, engine="replicated", checked=True)
    assert [f.kind for f in failure.value.failures] == ["RangeError"] * 3


@pytest.mark.parametrize("who", [0, 1, 2])
def test_a_party_that_fails_ends_all(who):
    def body(engine):
        x = engine.share(engine.input(torch.ones(8) if engine.rank == 0 else [8], 0))
        y = engine.relu(engine.mul(x, x))
        if engine.rank == who:
            raise ZeroDivisionError
        for _ in range(3):
            y = engine.relu(engine.mul(y, x))
        return engine.reveal(y)

    with pytest.raises(PartyError) as failure:
        run(body, 3, "replicated", timeout=20)
    assert isinstance(failure.value.errors.pop(who), ZeroDivisionError)
    assert {type(error) for error in failure.value.errors.values()} == {PeerLost}
    assert len(failure.value.errors) == 2


def test_another_engine_at_one_party_is_an_error_of_all():
    from threading import Thread

    from engines import C

    hub, errors = C.MemoryHub(3), {}

    def work(rank):
        mine = ("none", "replicated") if rank else ("first_party", "additive")
        try:
            C.make_engine(hub.transport(rank), 3, mine[0], engine=mine[1], timeout=20.0)
        except Error as error:
            errors[rank] = type(error)

    threads = [Thread(target=work, args=(rank,), daemon=True) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == dict.fromkeys(range(3), ConfigError)
