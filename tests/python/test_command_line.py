# SPDX-License-Identifier: MIT
"""The command `cryptensor` in a process of its own."""

import json
import subprocess
import sys

import pytest

PROGRAM = "import sys; from cryptensor.cli import main; sys.argv[0] = 'cryptensor'; main()"


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_cert_writes_what_links_need(tmp_path):
    done = run("cert", tmp_path / "new", "--parties", 3, "--json")
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout)["files"]
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == sorted(file.rpartition("/")[2] for file in files)
    ranks = ("party0", "party1", "party2", "dealer", "authority")
    assert names == sorted(f"{rank}.{kind}" for rank in ranks for kind in ("pem", "key"))


@pytest.mark.parametrize("parties", [1, 0])
def test_an_error_is_one_line_and_a_status(tmp_path, parties):
    done = run("cert", tmp_path, "--parties", parties)
    assert done.returncode == 1
    assert done.stderr.startswith(f"ConfigError: parties is {parties}")
    assert done.stderr.count("\n") == 1


def test_help_is_shown_without_a_command():
    assert "cert" in run().stdout
