# SPDX-License-Identifier: MIT
"""`cryptensor selftest`: each of its checks here, and what it says of one that fails."""

import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cryptensor import selftest
from cryptensor.cli.application import application
from cryptensor.selftest import Check, Finding

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("check", list(selftest.checks()), ids=lambda check: check.name)
def test_every_check_passes_here(check):
    found = check()
    assert found.ok, found
    assert found.advice == ""
    if "inference" in check.name or "processes" in check.name:
        assert "rounds, result right" in found.figure


def run(monkeypatch, checks, *arguments):
    monkeypatch.setattr(selftest, "checks", lambda: iter(checks))
    return CliRunner().invoke(application, ["selftest", *arguments])


GOOD = Check("good", lambda: "1 [GB/s]", "nothing")
BAD = Check("bad", lambda: 1 // 0, "mend [it]")


def test_a_check_that_fails_is_told_and_is_the_status(monkeypatch):
    done = run(monkeypatch, [GOOD, BAD])
    assert done.exit_code == 1
    for part in ("FAILED", "ZeroDivisionError", "mend [it]", "1 [GB/s]"):
        assert part in done.stdout
    done = run(monkeypatch, [GOOD, BAD], "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert not found["ok"]
    assert [(c["name"], c["ok"]) for c in found["checks"][:2]] == [("good", True), ("bad", False)]


def test_what_is_optional_fails_nothing(monkeypatch):
    absent = Finding("extra: x", None, "y not installed", 0.0, "pip install 'cryptensor[x]'")
    monkeypatch.setattr(selftest, "extras", lambda: iter([absent]))
    done = run(monkeypatch, [GOOD])
    assert done.exit_code == 0 and "absent" in done.stdout and "[x]" in done.stdout


def test_a_wrong_result_is_noticed(monkeypatch):
    monkeypatch.setattr(selftest, "_MOST_ERROR", -1.0)
    check = next(c for c in selftest.checks() if "first_party" in c.name)
    found = check()
    assert found.ok is False and "is off by" in found.figure and found.advice


def test_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(selftest._EXTRAS) <= set(project["optional-dependencies"])
