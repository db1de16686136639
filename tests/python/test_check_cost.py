# SPDX-License-Identifier: MIT
"""check() predicts rounds and bytes exactly, and times from them."""

import json

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor.errors import ConfigError


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(5, 6)


def cnn():
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(36, 3), nn.Softmax(-1)), torch.randn(2, 1, 8, 8)


def transformer():
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(2, 4, 8)


def infer(model, x):
    """As the report counts: without the encryption of the model."""
    model = ct.encrypt(model, src=0)
    setup = ct.stats().total()
    ct.reset_stats()
    model(ct.cryptensor(x, src=1)).reveal()
    return setup, ct.stats().total()


RUNS = [(make, ct.simulate, n) for make in (mlp, cnn, transformer) for n in (2, 3)]


@pytest.mark.parametrize("make, run, parties", [*RUNS, (cnn, ct.launch, 2)])
def test_equal_to_a_run(make, run, parties):
    torch.manual_seed(1)
    model, x = make()
    model.eval()
    report = ct.check(model, x, parties=parties)
    results = run(infer, model, x, parties=parties)
    (setup, first), (setup_last, last) = results[0], results[-1]
    for found, mine, lasts in (
        (report.setup, setup, setup_last),
        (report.total, first, last),
    ):
        counted = (mine.rounds, mine.bytes_sent, mine.bytes_received, lasts.dealer_bytes)
        assert (found.rounds, found.bytes, found.bytes_received, found.dealer_bytes) == counted


def test_rows_of_modules():
    model, x = cnn()
    report = ct.check(model.eval(), x)
    rows = {row.name: row for row in report.layers}
    assert list(rows) == ["(inputs)", "", *map(str, range(7)), "(results)"]
    children = [rows[str(number)] for number in range(7)]
    for field in ("rounds", "bytes", "bytes_received", "dealer_bytes"):
        whole = getattr(rows[""], field)
        assert sum(getattr(row, field) for row in children) == whole
        ends = getattr(rows["(inputs)"], field) + getattr(rows["(results)"], field)
        assert getattr(report, field) == whole + ends
    assert rows["1"].rounds == 0 and rows["2"].rounds == 4
    shared = ct.check(nn.Sequential(model[2], model[2]), x)
    assert [(r.name, r.calls) for r in shared.layers if r.type == "ReLU"] == [("0", 2)]


def test_seconds_of_networks():
    model, x = mlp()
    slow, fast = ct.Network(latency=1.0, bandwidth=1e3), ct.Network(latency=0, bandwidth=1e12)
    report = ct.check(model, x, net=slow)
    waiting = report.rounds + max(report.bytes, report.bytes_received) / 1e3
    waiting += 2 * report.total.dealer_requests + report.dealer_bytes / 1e3  # there and back
    assert waiting < report.seconds < waiting + 5
    assert ct.check(model, x, net=fast).seconds < 5
    times = [ct.check(model, x, net=net).seconds for net in ("loopback", "lan", "wan")]
    assert times[2] > times[1] and times[2] > 0.04 * report.rounds


def test_report():
    model, x = mlp()
    report = ct.check(model, x)
    text = str(report)
    for part in ("unsupported operations: none", "0.25 ms one way", "Linear", "encrypt(model)"):
        assert part in text
    kept = json.loads(json.dumps(report.to_dict()))
    assert kept["ok"] and kept["total"]["rounds"] == report.rounds
    assert kept["network"] == {"latency": 0.25e-3, "bandwidth": 125e6, "cores": None}
    refused = ct.check(nn.Sequential(model, nn.FractionalMaxPool2d(2, 2)), x[None])
    assert refused.seconds is None and "cost: unknown" in str(refused)


def test_the_mode_is_that_of_now():
    model, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), torch.randn(5, 6)
    with torch.no_grad():
        plain = ct.check(model, x)
    assert plain.rounds <= ct.check(model, x).rounds
    norm = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
    assert ct.check(norm.train(), x).rounds > ct.check(norm.eval(), x).rounds


BAD = [
    ({"net": "moon"}, "'loopback', 'lan', 'wan'"),
    ({"net": 5}, "net is 5"),
    ({"parties": 1}, "parties is 1"),
    ({"precision": 40}, "precision is 40"),
    ({"src": 2}, "from 0 to 1"),
    ({"src": True}, "from 0 to 1"),
]


@pytest.mark.parametrize("settings, message", BAD)
def test_bad_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        ct.check(nn.Linear(2, 2), torch.ones(2), **settings)


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"nn\.Module"):
        ct.check(torch.relu, torch.ones(2))
    with pytest.raises(ConfigError, match="example"):
        ct.check(nn.Linear(2, 2))

    def secret(x):
        ct.check(nn.Linear(2, 2), ct.cryptensor(x))

    with pytest.raises(ct.errors.RemoteError, match="plain examples"):
        ct.simulate(secret, torch.ones(2), provider="first_party")


@pytest.mark.parametrize(
    "values", [{"latency": -1}, {"latency": float("nan")}, {"bandwidth": 0}, {"bandwidth": "1"}]
)
def test_bad_networks(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        ct.Network(**{"latency": 0.1, "bandwidth": 1e6, **values})
