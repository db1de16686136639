# SPDX-License-Identifier: MIT
"""The command `cryptensor cost`."""

import json

import pytest
from typer.testing import CliRunner

from cryptensor.cli.application import application
from cryptensor.errors import ConfigError

MODEL = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.ones(2, 4)

def nothing():
    return 5
"""


def run(*arguments):
    return CliRunner().invoke(application, ["cost", *map(str, arguments)])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text(MODEL)
    return path


def test_table_and_json(file):
    shown = run(f"{file}:build", "--net", "wan")
    assert shown.exit_code == 0, shown.output
    for part in ("40 ms one way, 100 Mbit/s", "Linear", "what dominates", "weights public"):
        assert part in shown.stdout
    done = run(f"{file}:build", "--no-compare", "--latency", 1, "--repeated", "--json")
    found = json.loads(done.stdout)
    assert found["network"] == {"latency": 1.0, "bandwidth": 125e6, "cores": None}
    assert found["repeated"] and found["total"]["latency_seconds"] == found["total"]["rounds"]
    assert found["alternatives"] == []


@pytest.mark.parametrize(
    "target, message",
    [
        ("{}", "FILE.py:NAME or MODULE:NAME"),
        ("{}:missing", "no function missing"),
        ("{}:nothing", "returned int; it must return (model, example)"),
        ("{}x.py:build", "there is no file"),
        ("no_such_module_here:build", "there is no module no_such_module_here"),
    ],
)
def test_bad_targets(file, target, message):
    done = run(target.format(file))
    assert isinstance(done.exception, ConfigError) and message in str(done.exception)
