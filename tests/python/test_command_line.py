# SPDX-License-Identifier: MIT
"""The command `cryptensor` in a process of its own."""

import inspect
import json
import os
import subprocess
import sys

import pytest

PROGRAM = "import sys; from cryptensor.cli import main; sys.argv[0] = 'cryptensor'; main()"


def run(*arguments, env=None):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=env,
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


def test_completion_knows_commands_and_options():
    environment = {**os.environ, "_CRYPTENSOR_COMPLETE": "complete_bash"}
    for words, expected in (("cryptensor ins", "inspect"), ("cryptensor bench --rep", "--repet")):
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = run(env={**environment, **asked})
        assert done.stdout.startswith(expected), done


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    from cryptensor.cli import application, main

    def missing(name):
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(application, "application", lambda: missing("rich.table"))
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == "rich is missing: pip install 'cryptensor[cli]'\n"
    monkeypatch.setattr(application, "application", lambda: missing("other"))
    with pytest.raises(ModuleNotFoundError):
        main()


def test_every_command_has_json():
    from cryptensor.cli.application import application

    for command in application.registered_commands:
        assert "as_json" in inspect.signature(command.callback).parameters, command
        assert command.callback.__doc__
