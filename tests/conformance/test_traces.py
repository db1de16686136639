# SPDX-License-Identifier: MIT
"""What is sent depends on the program alone: in threads, in processes and under torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import traced_party
from engines import CONFIGURATIONS, enter, run_traced

import cryptensor as ct

HERE = Path(__file__).parent
FOLDERS = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
IN_PROCESSES = [(2, "third_party"), (3, "first_party")]


def in_threads(parties, provider):
    frames = run_traced(traced_party.program, parties, provider).frames
    return [traced_party.outline(sent) for sent in frames]


@pytest.mark.parametrize(("parties", "provider"), CONFIGURATIONS)
def test_two_runs_send_the_same(parties, provider):
    first = in_threads(parties, provider)
    assert first == in_threads(parties, provider)
    assert {row[0] for row in first[0]} >= {
        "announce",
        "matmul",
        "multiply",
        "convolution",
        "compare",
    }


def sent_for(value):
    def body(engine):
        x = engine.share(enter(engine, torch.full((9, 9), value, dtype=torch.float64)))
        engine.reveal(engine.relu(engine.mul(x, engine.ltz(x))))

    frames = run_traced(body, 2, "third_party").frames
    return [traced_party.outline(sent) for sent in frames]


@pytest.mark.parametrize("value", [0.0, -1.0, 2.0**20])
def test_what_is_sent_does_not_depend_on_the_values(value):
    assert sent_for(value) == sent_for(1.5)


@pytest.mark.parametrize(("parties", "provider"), IN_PROCESSES)
def test_processes_send_what_threads_send(parties, provider, tmp_path):
    ranks = parties + (provider == "third_party")

    def party(folder):
        sys.path[:0] = FOLDERS
        import traced_party

        return traced_party.play(f"{folder}/store", ct.rank(), ranks, parties, provider)

    sent = ct.launch(party, str(tmp_path), parties=ranks, provider="first_party")
    assert sent == in_threads(parties, provider)


def test_torchrun_sends_what_threads_send(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    script = [f"{HERE}/traced_party.py", str(tmp_path), "2", "third_party"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(FOLDERS)}
    done = subprocess.run(
        torchrun + script, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    sent = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(3)]
    assert sent == in_threads(2, "third_party")


@pytest.mark.parametrize(("parties", "provider"), CONFIGURATIONS)
def test_counted_bytes_are_the_bytes_on_the_wire(parties, provider):
    def body(engine):
        engine.reset_stats()
        traced_party.program(engine)
        rows = engine.stats()
        return [sum(row[key] for row in rows) for key in ("bytes_sent", "messages", "dealer_bytes")]

    counted, frames = run_traced(body, parties, provider)
    for rank in range(parties):
        framing = ("handshake", "goodbye")
        online = [f for f in frames[rank] if f.peer < parties and f.operation not in framing]
        assert counted[rank][:2] == [sum(len(f.payload) for f in online), len(online)]
    if provider == "third_party":
        dealt = [f for f in frames[parties] if f.operation == "dealer_correction"]
        # Guesses ahead of demand may have been wrong, and are not used then.
        assert sum(len(f.payload) for f in dealt) >= counted[-1][2] > 0
