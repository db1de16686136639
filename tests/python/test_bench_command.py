# SPDX-License-Identifier: MIT
"""`cryptensor bench` and `cryptensor demo`, and what of them a wheel carries."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import cryptensor as ct
from cryptensor.bench import latency, relu, round_trip
from cryptensor.cli.application import application
from cryptensor.example_programs import example_program

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    return CliRunner().invoke(application, [*map(str, arguments)])


def only_shared_memory(certificates):
    return {"shared memory": {"transport": "shared_memory"}}


def test_latency_of_a_network(monkeypatch):
    monkeypatch.setattr(latency, "links", only_shared_memory)
    done = run("bench", "networks", "--networks", "A", "--batch", 1, "--repetitions", 1, "--json")
    assert done.exit_code == 0, done.output
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["benchmark"] == latency.TITLE and row["work"] == "network A"
    assert row["batch"] == 1 and row["rounds"] > 0 and row["ms"] > 0 and row["instruction_set"]


def test_the_other_measurements():
    rows = ct.simulate(relu.measure, 10, 1)[1]
    assert [row["work"] for row in rows] == ["relu", "relu of a product"]
    assert rows[0]["rounds"] == 4 and rows[0]["bytes dealt"] > 0
    assert ct.simulate(round_trip.measure, 16, 2)[0] > 0


def test_tasks_are_named():
    names = [name for name, _ in latency.tasks("folder", "AC", (1,), 1)]
    assert names[0] == "network A, shared memory" and len(names) == 6
    assert [n for n, _ in round_trip.tasks("folder", (16,))] == ["rounds of 16 bytes"]
    assert len(list(relu.tasks((1, 2)))) == 4


def test_a_table_is_printed(monkeypatch):
    rows = [{"work": "round", "us": 1.5}]
    monkeypatch.setattr(round_trip, "tasks", lambda *_, **__: [("short", lambda: rows)])
    shown = run("bench", "rounds")
    assert shown.exit_code == 0 and round_trip.TITLE in shown.stdout and "1.5" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "--networks", "AX"],
        ["bench", "--repetitions", 0],
        ["bench", "nothing"],
        ["demo", "--networks", ""],
        ["demo", "--seeds", 0],
        ["demo", "--mnist", "/nowhere"],
    ],
)
def test_bad_usage_is_status_2(arguments):
    assert run(*arguments).exit_code == 2


def test_the_demonstration(monkeypatch):
    monkeypatch.setattr(example_program("digits"), "UCI_TEST_IMAGES", 10)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # of this very process
    done = run("demo", "--networks", "A", "--json")
    assert done.exit_code == 0, done.output
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["network"] == "A" and row["images"] == 10 and row["classes_differ_beyond_ties"] == 0
    program = example_program("private_inference")
    monkeypatch.setattr(program, "demonstrate", lambda *_: [program.Result(**row)])
    row["latency_ms"] = row["rounds"] = row["online_bytes"] = row["dealer_bytes"] = {1: 1}
    assert "largest logit error" in run("demo").stdout
    row["largest_error"] = 1.0
    done = run("demo")
    assert done.exit_code == 1 and "a logit is off by 1" in done.stdout


def test_a_wheel_carries_the_programs(tmp_path):
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    (module,) = (ROOT / "cryptensor").glob("_C.*.so")
    shutil.copy(module, tmp_path / "cryptensor")
    code = (
        "import cryptensor.example_programs as p; "
        "print(*(p.example_program(n).__file__ for n in ('digits', 'networks', "
        "'private_inference')), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    folder = tmp_path / "cryptensor" / "examples"
    assert [Path(line).parent for line in done.stdout.split()] == [folder] * 3
