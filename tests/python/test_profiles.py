# SPDX-License-Identifier: MIT
"""ct.profile_layers() and the forms of statistics: tables, data frames, pictures, TensorBoard."""

import io
import sys

import pytest
import torch
from torch import nn

import cryptensor as ct
from cryptensor.errors import ConfigError, Error, FileError

SECRET = 4242.125


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.act = nn.Linear(4, 4), nn.ReLU()

    def forward(self, x):
        return x + self.act(self.fc(self.fc(x)))


def model():
    return nn.Sequential(Block(), nn.Linear(4, 2)).eval()


def profiled(times=1):
    """Runs at every party: (profile, stats of the same block)."""
    with torch.no_grad():
        plain = model()
        plain[1].bias.fill_(SECRET)
        secret = ct.encrypt(plain, src=0)
        x = ct.cryptensor(torch.ones(3, 4), src=1)
        ct.reset_stats()
        with ct.profile_layers(secret) as profile:
            for _ in range(times):
                secret(x).reveal()
        return profile, ct.stats()


@pytest.fixture(scope="module")
def found():
    return ct.simulate(profiled)


def test_layers_add_up_to_the_statistics(found):
    for profile, stats in found:
        whole = profile["(all)"]
        total = stats.total()
        for name in ("rounds", "bytes_sent", "bytes_received", "dealer_bytes"):
            assert getattr(whole, name) == getattr(total, name) and whole.rounds
        assert whole.wait_seconds == pytest.approx(total.wait_seconds)
        assert 0 < whole.wait_seconds < whole.seconds
        # What a model costs is what its layers cost, where it does nothing itself.
        assert profile[""].rounds == profile["0"].rounds + profile["1"].rounds
        # The last truncation is left to the reveal.
        assert whole.rounds == profile[""].rounds + stats["reveal"].rounds + 1


def test_rows_know_where_they_ran(found):
    profile, _ = found[0]
    names = [row.name for row in profile.layers]
    assert names == ["(all)", "", "0", "0.fc", "0.act", "1"]
    assert [row.parent for row in profile.layers] == [None, 0, 1, 2, 2, 1]
    assert profile["0.fc"].calls == 2 and profile["0.act"].calls == 1
    assert profile["0.act"].type == "ReLU"
    with pytest.raises(KeyError, match="no layer 'fc' ran; there ran: '\\(all\\)'"):
        profile["fc"]


def test_a_profile_changes_no_count():
    def plainly():
        with torch.no_grad():
            secret = ct.encrypt(model(), src=0)
            x = ct.cryptensor(torch.ones(3, 4), src=1)
            ct.reset_stats()
            secret(x).reveal()
            return ct.stats().total()

    for (profile, _), total in zip(ct.simulate(profiled), ct.simulate(plainly), strict=True):
        assert profile["(all)"].rounds == total.rounds
        assert profile["(all)"].bytes_sent == total.bytes_sent


def test_operations_are_a_graph(found):
    nodes = found[0][0].operations
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    made = {}
    for node in nodes:
        assert set(node.inputs) <= set(made), node
        made[node.name] = node
    assert made["0/fc/weight"].kind == "Parameter" and made["0/fc/weight"].shape == (4, 4)
    assert made["input"].kind == "Input" and made["input"].owner == 1
    relu = next(node for node in nodes if node.kind == "aten::relu")
    assert relu.name == "0/act/relu" and relu.shape == (3, 4) and relu.cost.rounds == 4
    assert sum(node.cost.rounds for node in nodes) == found[0][0][""].rounds


def test_text_rich_and_dictionaries(found):
    from rich.console import Console

    profile, stats = found[0]
    for shown in (profile, stats):
        console = Console(width=200, record=True, file=io.StringIO())
        console.print(shown)
        assert "rounds" in console.export_text() and "rounds" in str(shown)
    assert "    0.act" in str(profile)
    assert profile.to_dict()["layers"][4]["name"] == "0.act"


def test_data_frames(found):
    profile, stats = found[0]
    frame = profile.to_dataframe()
    assert frame.index.name == "name" and frame.loc["0.act", "rounds"] == 4
    frame = stats.to_dataframe()
    assert frame.index.name == "operation" and list(frame.index) == sorted(frame.index)
    assert frame["rounds"].sum() == stats.rounds
    assert frame.loc["relu", "calls"] == stats["relu"].calls


def test_an_empty_data_frame_has_its_columns():
    def work():
        ct.reset_stats()
        return ct.stats()

    assert "rounds" in ct.simulate(work)[0].to_dataframe().columns


@pytest.mark.parametrize(
    "package, method", [("pandas", "to_dataframe"), ("matplotlib", "flame"), ("tensorboard", None)]
)
def test_a_missing_package_is_named(found, tmp_path, monkeypatch, package, method):
    monkeypatch.setitem(sys.modules, package, None)
    if package == "tensorboard":
        monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    arguments = {"to_dataframe": [], "flame": [tmp_path / "a.png"], None: [tmp_path]}[method]
    with pytest.raises(ImportError, match=f"pip install {package}"):
        getattr(found[0][0], method or "to_tensorboard")(*arguments)


def test_a_flame_shows_every_layer_and_no_value(found, tmp_path):
    found[0][0].flame(tmp_path / "flame.png")
    assert (tmp_path / "flame.png").read_bytes().startswith(b"\x89PNG")
    found[0][0].flame(tmp_path / "flame.svg")
    text = (tmp_path / "flame.svg").read_text()
    for label in ("rounds: ", "0.act ReLU 4", "bytes sent"):
        assert f"<!-- {label}" in text, label
    assert str(SECRET) not in text
    with pytest.raises(ConfigError, match=r"flame\.xyz"):
        found[0][0].flame(tmp_path / "flame.xyz")
    with pytest.raises(FileError, match="cannot be written"):
        found[0][0].flame(tmp_path / "nowhere" / "flame.png")


def test_bars_are_as_wide_as_their_part_and_inside_their_parent():
    from cryptensor.profiles.flame import Bar, _lefts

    bars = [Bar("a", "", None, 10, 0), Bar("b", "", 0, 4, 0), Bar("c", "", 1, 3, 0)]
    bars += [Bar("d", "", 0, 5, 0), Bar("e", "", 3, 2, 0), Bar("f", "", 3, 1, 0)]
    assert _lefts(bars, [bar.rounds for bar in bars]) == [0, 0, 0, 4, 4, 6]


def test_a_prediction_has_a_flame(tmp_path):
    report = ct.cost(model(), torch.ones(3, 4), compare=False)
    report.flame(tmp_path / "flame.svg")
    text = (tmp_path / "flame.svg").read_text()
    assert f"<!-- rounds: {report.rounds} -->" in text and "<!-- 0.act" in text


def test_tensorboard_reads_the_graph_and_the_scalars(found, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    profile, _ = found[0]
    profile.to_tensorboard(tmp_path, step=7)
    log = EventAccumulator(str(tmp_path))
    log.Reload()
    graph = {node.name: node for node in log.Graph().node}
    assert set(graph) == {node.name for node in profile.operations}
    relu = graph["0/act/relu"]
    assert relu.op == "aten::relu" and relu.attr["rounds"].i == 4
    assert [d.size for d in relu.attr["_output_shapes"].list.shape[0].dim] == [3, 4]
    (scalar,) = log.Scalars("rounds/0.act")
    assert (scalar.step, scalar.value) == (7, 4)
    assert "layers/text_summary" in log.Tags()["tensors"]
    steps = log.RunMetadata("step1").step_stats.dev_stats[0].node_stats
    assert {row.node_name for row in steps} == set(graph)
    for file in tmp_path.iterdir():
        for dtype in (torch.float32, torch.float64, torch.int64):
            value = torch.tensor(SECRET if dtype.is_floating_point else SECRET * 2**16)
            assert value.to(dtype).numpy().tobytes() not in file.read_bytes()


def test_a_block_that_raises_leaves_no_hook():
    def work():
        secret = ct.encrypt(model(), src=0)
        x = ct.cryptensor(torch.ones(3, 4), src=1)
        with pytest.raises(ValueError), ct.profile_layers(secret) as profile:
            secret(x)
            raise ValueError
        hooks = [m._forward_hooks or m._forward_pre_hooks for m in secret.modules()]
        return any(hooks), profile[""].calls

    assert ct.simulate(work) == [(False, 1)] * 2


def test_bad_use():
    with pytest.raises(Error, match="no session"), ct.profile_layers(model()):
        pass
    with pytest.raises(TypeError, match="model is of type int"), ct.profile_layers(5):
        pass
    with pytest.raises(ConfigError, match="no layers"):
        ct.LayerProfile().flame("a.png")
