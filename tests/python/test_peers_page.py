# SPDX-License-Identifier: MIT
"""The comparison with the peers, without a peer: its works, its processes' messages, its page."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import cryptensor as ct

VERSION = platform.python_version().rpartition(".")[0]
PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
FAKE = """
import sys
sys.path.insert(0, {folder!r})
import serving

def open_party(rank, ports):
    def prepare(kind, arrays):
        if kind == "softmax":
            raise ValueError("no such thing")
        costs = {{"rounds": 2, "bytes": 10, "dealer seconds": 0.5 * rank}}
        return lambda: None, lambda: arrays["x"].clip(0), lambda: costs
    return prepare

if __name__ == "__main__":
    serving.serve({{"relu": None, "softmax": None}}, open_party)
"""


@pytest.fixture(autouse=True)
def peers_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(PEERS)


def test_a_system_answers_in_json(tmp_path):
    import works

    script = tmp_path / "fake_run.py"
    script.write_text(FAKE.format(folder=str(PEERS)))
    relu = next(work for work in works.WORKS if work.name == "relu, 100")
    arrays = relu.arrays()
    np.savez(tmp_path / "arrays.npz", **arrays)
    files = {"arrays": str(tmp_path / "arrays.npz"), "result": str(tmp_path / "result.npy")}
    softmax = next(work.name for work in works.WORKS if work.kind == "softmax")
    asked = [{"work": relu.name, **files}, {}, {"work": softmax, **files}, {}]
    done = subprocess.run(
        [sys.executable, script],
        input="".join(json.dumps(message) + "\n" for message in asked),
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, costs, again, refused, _ = map(json.loads, done.stdout.splitlines())
    assert first == {"kinds": ["relu", "softmax"]}
    assert costs == {"costs": {"rounds": 2, "bytes": 20, "dealer seconds": 0.5}}
    assert again["seconds"] >= 0
    assert again["loopback bytes"] >= 0
    assert refused == {"error": "ValueError: no such thing"}
    assert np.array_equal(np.load(files["result"]), relu.plain(arrays))


def results():
    def row(work, **systems):
        return {"work": work, "systems": systems}

    return {
        "when": "2000-01-01",
        "machine": "a machine",
        "titles": {"ours": "cryptensor", "other": "Other", "absent": "Absent"},
        "versions": ["Other 1.0"],
        "missing": {"Absent": "ERROR: No matching distribution | found"},
        "rows": [
            row(
                "relu",
                ours={"seconds": 0.5, "bytes": 3e6, "wrong values": 0},
                other={"seconds": 0.25, "loopback bytes": 4e6, "wrong values": 7},
            ),
            row("exp", ours={"seconds": 0.125}, other={"problem": "it\nfell over"}),
            row("bert", ours={"seconds": 1234.5}),
        ],
    }


def test_the_page_says_who_wins_and_what_is_missing(tmp_path):
    import page

    text = page.write(results(), tmp_path).read_text()
    assert "| relu | Seconds, median | Other | 0.250 | 0.500 |" in text
    assert "| relu | 0.500 | **0.250** |  |" in text
    assert "| relu | **3.00** | 4.00 |  |" in text
    assert "| relu | MB online" not in text
    assert "| bert | **1,234** |  |  |" in text
    assert "| Absent | all works | ERROR: No matching distribution \\| found |" in text
    assert "| Other | exp | it fell over |" in text
    assert "Other 1.0" in text
    assert "| Other | bert | it has no such operation, or was not asked |" in text
    for name in ("seconds", "bytes"):
        assert f"({name}.svg)" in text
        assert (tmp_path / f"{name}.svg").read_text().startswith("<?xml")


def test_a_peer_that_cannot_be_installed_says_why(tmp_path, monkeypatch):
    import environments

    steps = (("--no-index", "--find-links", str(tmp_path), "no-such-peer"),)
    recipe = environments.Recipe("Peer", VERSION, steps, "import no_such_peer")
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setitem(environments.RECIPES, "peer", recipe)
    with pytest.raises(environments.SetupFailed, match="no-such-peer"):
        environments.python_of("peer")
    recipe = environments.Recipe("Peer", "2.1", (), "")
    monkeypatch.setitem(environments.RECIPES, "peer", recipe)
    with pytest.raises(environments.SetupFailed, match=r"no Python 2\.1"):
        environments.python_of("peer")


def test_an_environment_is_made_once(tmp_path, monkeypatch):
    import environments

    recipe = environments.Recipe("Peer", VERSION, (), "import json")
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setitem(environments.RECIPES, "peer", recipe)
    python = environments.python_of("peer")
    assert subprocess.run([python, "-c", ""]).returncode == 0
    (tmp_path / "peer" / "kept").touch()
    assert environments.python_of("peer") == python
    assert (tmp_path / "peer" / "kept").exists()


def test_our_part_computes_what_the_works_say(monkeypatch):
    import works

    monkeypatch.setattr(sys, "argv", ["ours_run.py", "gloo"])
    import ours_run

    for name in ("matmul 10 x 10", "net 64-32-10, batch 1", "network B, batch 1"):
        work = next(work for work in works.WORKS if work.name == name)
        arrays = work.arrays()
        given = {key: torch.from_numpy(array).float() for key, array in arrays.items()}

        def body(kind=work.kind, given=given):
            with torch.no_grad():
                return ours_run.secret_work(kind, given)().reveal()

        found = ct.simulate(body)[0].double().numpy()
        assert np.abs(found - work.plain(arrays)).max() < 1e-3
