# SPDX-License-Identifier: MIT
"""cost() says what a run counts, to the byte, at every party and in every module."""

import json
from dataclasses import replace

import cost_models
import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor import session
from cryptensor.config import Settings
from cryptensor.cost.counting import Plan, Reading, counted_here
from cryptensor.cost.prediction import counts
from cryptensor.errors import ConfigError, RangeError

COUNTERS = Reading._fields[:4]


def whole(reading):
    return tuple(getattr(reading, name) for name in COUNTERS)


def run(model, example, grad, **plan):
    """At one party of a real session: counts by module."""
    plan = Plan(session.current().config, src=0, input_src=1, **plan)
    with torch.set_grad_enabled(grad):
        return counted_here(model, example, {}, plan)


def assert_equal(report, parties):
    """Every module and the totals, at every party."""
    for rank, party in enumerate(parties):
        rows = {"total": party.total, "encrypt(model)": party.setup}
        rows |= {name: row.whole for name, row in party.rows.items()}
        found = {row.name: row for row in (*report.layers, report.total, report.setup)}
        assert list(party.rows) == [row.name for row in report.layers]
        for name, row in rows.items():
            cost = found[name]
            assert (cost.rounds, cost.sent[rank], cost.received[rank]) == whole(row)[:3], name
    dealt = [row.whole.dealer_bytes for row in parties[-1].rows.values()]
    assert [row.dealer_bytes for row in report.layers] == dealt
    assert report.dealer_bytes == parties[-1].total.dealer_bytes > 0


@pytest.mark.parametrize("repeated", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("name", cost_models.ZOO)
def test_equal_to_a_run(name, repeated):
    model, example = cost_models.built(name)
    integers = not example.is_floating_point()
    with torch.no_grad():
        report = ct.cost(model, example, secret_integers=integers, repeated=repeated, compare=False)
        results = ct.simulate(run, model, (example,), False, integers=integers, repeated=repeated)
    assert_equal(report, results)
    assert report.rounds > 0 and report.total.dealer_requests > 0


def infer(model, words):
    """At one party, without anything of cost(): what stats() says of three stretches."""
    with torch.no_grad():
        counted = []
        model = ct.encrypt(model, src=0)
        for _ in range(3):
            counted.append(ct.stats().total())
            ct.reset_stats()
            model(ct.cryptensor(words, src=1)).reveal()
        return counted


@pytest.mark.parametrize("run", [ct.simulate, ct.launch])
def test_equal_to_stats(run):
    torch.manual_seed(1)
    model, example = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(5, 6)
    with torch.no_grad():
        first, later = (ct.cost(model, example, repeated=r, compare=False) for r in (False, True))
    for rank, counted in enumerate(run(infer, model, example)):
        for cost, stats in zip((first.setup, first.total, later.total), counted, strict=True):
            expected = cost.rounds, cost.sent[rank], cost.received[rank]
            assert (stats.rounds, stats.bytes_sent, stats.bytes_received) == expected
            assert rank == 0 or stats.dealer_bytes == cost.dealer_bytes
    assert sum(later.total.sent) < sum(first.total.sent)


def test_equal_with_shared_operands():
    """Integers of no owner, too: what a party that does not own them says of them is enough."""
    model, example = cost_models.Weighted(), torch.arange(8).view(2, 4)
    plan = {"integers": True, "shared_inputs": True, "shared_weights": True}
    with torch.no_grad():
        results = ct.simulate(run, model, (example,), False, **plan)
        played = counts(model, (example,), {}, Plan(Settings(), src=0, input_src=1, **plan))
    for found, expected in zip(results, played, strict=True):
        assert {name: whole(row.whole) for name, row in found.rows.items()} == {
            name: whole(row.whole) for name, row in expected.rows.items()
        }
        assert whole(found.setup) == whole(expected.setup)


@pytest.mark.parametrize(
    "parties, settings",
    [(3, {}), (2, {"checked": True}), (2, {"precision": 20, "truncation": "exact"})],
    ids=["three parties", "checked", "exact truncation"],
)
def test_equal_under_other_settings(parties, settings):
    layers = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.Softmax(-1)
    model, example = nn.Sequential(*layers), torch.randn(4, 6)
    report = ct.cost(model, example, parties=parties, compare=False, **settings)
    results = ct.simulate(run, model, (example,), True, parties=parties, **settings)
    assert_equal(report, results)


def test_equal_to_a_training_step():
    model = cost_models.classifier()
    example = torch.randn(5, 6), torch.tensor([0, 2, 1, 1, 0])
    step, integers = cost_models.train, True
    for repeated in (False, True):
        plan = {"integers": integers, "step": step, "repeated": repeated}
        report = ct.cost(
            model, *example, secret_integers=True, step=step, repeated=repeated, compare=False
        )
        results = ct.simulate(run, model, example, True, **plan)
        assert_equal(report, results)
    rows = {row.name: row for row in report.layers}
    assert rows["(step)"].rounds > rows[""].rounds


def test_owners_are_as_asked():
    model, example = nn.Linear(6, 3), torch.randn(4, 6)
    theirs, ours = (ct.cost(model, example, src=src, compare=False) for src in (0, 1))
    assert theirs.total.sent != ours.total.sent == theirs.total.sent[::-1]
    public = ct.cost(model, example, encrypt_model=False, compare=False)
    assert public.setup is None and public.dealer_bytes < theirs.dealer_bytes


def test_alternatives_are_played():
    layers = nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 3)
    model, example = nn.Sequential(*layers), torch.rand(8, 1, 16, 16)
    report = ct.cost(model, example, net="wan")
    by_name = {other.name.partition(",")[0]: other for other in report.alternatives}
    assert list(by_name) == [
        "weights public",
        "weights shared",
        "inputs shared",
        "launch(network='wan')",
        "ranges declared",
        "ct.optimize(model",
        "links of 'loopback'",
        "links of 'lan'",
    ]
    public = ct.cost(model, example, net="wan", encrypt_model=False, compare=False)
    other = by_name["weights public"]
    assert (other.rounds, other.online_bytes) == (public.rounds, sum(public.total.sent))
    online = sum(report.total.sent)
    assert other.online_bytes < online < by_name["weights shared"].online_bytes
    assert by_name["ranges declared"].dealer_bytes < report.dealer_bytes
    assert by_name["ct.optimize(model"].online_bytes < online
    assert by_name["links of 'lan'"].rounds == report.rounds
    assert by_name["links of 'lan'"].change < -0.5
    assert model[0].weight.__class__ is nn.Parameter and not model[1]._forward_pre_hooks


def test_what_does_not_apply_says_why():
    report = ct.cost(nn.Bilinear(3, 3, 2), torch.ones(2, 3), torch.ones(2, 3))
    notes = {other.name: other.note for other in report.alternatives if other.note}
    assert list(notes.values()) == ["ct.calibrate() takes models of one argument"]
    assert notes and "does not apply, ct.calibrate()" in str(report)


def test_seconds_are_those_of_the_network():
    model, example = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(5, 6)
    slow = ct.Network(latency=1.0, bandwidth=1e3)

    def total(**named):
        return ct.cost(model, example, net=slow, compare=False, **named).total

    stored, live, later = total(provider="stored"), total(), total(repeated=True)
    assert stored.latency_seconds == stored.rounds
    assert stored.traffic_seconds == max(*stored.sent, *stored.received) / 1e3
    assert stored.wait_seconds == 0
    answers = 2 * live.dealer_requests + live.dealer_bytes / 1e3
    assert live.wait_seconds == pytest.approx(live.dealer_seconds + answers)
    narrow = ct.cost(model, example, net=ct.Network(0, 1), repeated=True, compare=False).total
    assert narrow.seconds == pytest.approx(narrow.received[1] + narrow.dealer_bytes)
    assert later.rounds <= live.rounds and later.wait_seconds == 0
    crowded = ct.Network(latency=0, bandwidth=1e12, cores=1)
    one = ct.cost(model, example, net=crowded, repeated=True, compare=False).total
    assert one.seconds == pytest.approx(sum(one.compute_seconds) + one.dealer_seconds)


def test_report():
    model, example = cost_models.built("network B")
    report = ct.cost(model, example, compare=False)
    assert sum(report.dominates.values()) == pytest.approx(1)
    rows = {row.name: row for row in report.layers}
    children = [row for name, row in rows.items() if name.isdigit()]
    assert sum(row.rounds for row in children) == rows[""].rounds
    assert all(row.own_seconds == pytest.approx(row.seconds) for row in children)
    assert rows[""].own_seconds < rows[""].seconds / 2
    text = str(report)
    for part in ("Conv2d", "encrypt(model)", "what dominates", "0.25 ms one way", "first"):
        assert part in text
    kept = json.loads(report.to_json())
    assert kept["total"]["sent"] == list(report.total.sent)
    assert kept["layers"][1]["rounds"] == report.layers[1].rounds
    frame = report.dataframe()
    assert frame.loc["total", "rounds"] == report.rounds
    assert list(frame.index[-2:]) == ["total", "encrypt(model)"]


def test_nothing_changes():
    model, example = cost_models.classifier(), torch.randn(5, 6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    ct.cost(model, example, compare=False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)
    assert not session.is_active()


def test_a_common_coin_with_a_seed():
    def step(model, x):
        ct.manual_seed(5)
        return model(x)

    model = nn.Sequential(nn.Linear(6, 3), nn.Dropout())
    report = ct.cost(model, torch.randn(2, 6), step=step, compare=False)
    assert {row.name: row for row in report.layers}["(step)"].rounds == 3


BAD = [
    ({"net": "moon"}, ConfigError, "'loopback', 'lan', 'wan'"),
    ({"provider": "first_party"}, ConfigError, "'third_party' or 'stored'"),
    ({"src": 2}, ConfigError, "from 0 to 1"),
    ({"step": 5}, ConfigError, "step is 5"),
    ({"parties": 1}, ConfigError, "parties is 1"),
]


@pytest.mark.parametrize("settings, error, message", BAD)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        ct.cost(nn.Linear(2, 2), torch.ones(2), **settings)


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"nn\.Module"):
        ct.cost(torch.relu, torch.ones(2))
    with pytest.raises(ConfigError, match="needs an example"):
        ct.cost(nn.Linear(2, 2))
    with pytest.raises(RangeError, match="nan"):
        ct.cost(nn.Linear(2, 2), torch.tensor([1.0, float("nan")]))
    assert not session.is_active()
    with pytest.raises(ConfigError, match="cores is 0"):
        replace(ct.Network(0, 1), cores=0)


def measured():
    return ct.Network.measured()


def test_links_are_measured():
    for network in ct.simulate(measured):
        assert 0 < network.latency < 1 and network.bandwidth > 1e6 and network.cores is None
