# SPDX-License-Identifier: MIT
"""What the suites of this folder share: the fork server, certificates, nothing left behind."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from cases import case_of

import cryptensor as ct

HERE = Path(__file__).resolve().parent
MARK = "CRYPTENSOR_TEST_MARK"


def library_environment(**more):
    """For programs that import the library of this checkout and the modules of this folder."""
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE), os.environ.get("PYTHONPATH", "")])
    one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **one, "PYTHONPATH": path, **more}


class ForkServer:
    """The client of fork_server.py."""

    def __init__(self, prefix=(), **environment):
        self._program = subprocess.Popen(
            [*prefix, sys.executable, str(HERE / "fork_server.py")],
            env=library_environment(**environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def play(self, cases):
        """What became of the ranks of each case; the cases run at the same time."""
        self._program.stdin.write(json.dumps(cases) + "\n")
        self._program.stdin.flush()
        return self._answer()

    def ready(self):
        assert self._answer() == "ready"
        return self

    def close(self):
        self._program.stdin.close()
        try:
            self._program.wait(10)
        finally:
            self._program.kill()

    def _answer(self):
        line = self._program.stdout.readline()
        assert line, f"the fork server ended with {self._program.wait(5)}"
        return json.loads(line)


@pytest.fixture(scope="session")
def fork_server():
    server = ForkServer().ready()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    path = tmp_path_factory.mktemp("authority")
    ct.make_certificates(path, 3)
    return str(path)


@pytest.fixture(scope="session")
def frames(fork_server, certificates):
    """How many frames each rank sends when nothing happens, goodbye excluded."""
    (ranks,) = fork_server.play([case_of("plain", certificates)])
    assert [rank["status"] for rank in ranks] == [0, 0, 0], ranks
    assert [rank.get("result") for rank in ranks] == [True, True, None]
    return [rank["frames"] for rank in ranks]


def marked_processes(mark):
    """Living processes that inherited the mark: parties, dealers, and what they started."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environment:
            found.add(int(entry.name))
    return found


@pytest.fixture
def mark(monkeypatch):
    """A mark that every process started by the test bears; none may be left after the test."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield mark
    deadline = time.monotonic() + 2.0
    while marked_processes(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked_processes(mark) == set()
