# SPDX-License-Identifier: MIT
"""ct.seeded(): the same bytes in threads, processes and under torchrun; never in a real build."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cryptensor as ct
from cryptensor.config import Settings
from cryptensor.errors import ConfigError
from cryptensor.session import refuse_insecure

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_the_installed_module_refuses():
    with pytest.raises(ConfigError, match="true randomness only"):
        ct.seeded(7)
    assert ct.simulate(lambda: ct.rank()) == [0, 1]  # and nothing is left of it


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, None, "7"])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ConfigError, match=r"seed is .* integer from 0 to 2\^63 - 1"):
        ct.seeded(seed)


def test_a_seeded_session_stays_on_one_host():
    settings = Settings(seed=7, insecure_ok=True)
    refuse_insecure(settings, loopback=True)
    with pytest.raises(ConfigError, match="tests on one host"):
        refuse_insecure(settings, loopback=False)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """With a package `cryptensor` that has the test build of the module and else the same files."""
    built = sorted(ROOT.glob("build/*/mutants/_C*.so"), key=lambda path: path.stat().st_mtime)
    if given := os.environ.get("CRYPTENSOR_MUTANTS_MODULE"):
        built = [Path(given)]
    if not built:
        pytest.fail("the test build is missing: cmake --build build/cmake --target mutants")
    package = tmp_path_factory.mktemp("test-build") / "cryptensor"
    package.mkdir()
    for path in (ROOT / "cryptensor").iterdir():
        if not path.name.startswith("_C") and path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    (package / built[-1].name).symlink_to(built[-1])
    return {**os.environ, "PYTHONPATH": f"{package.parent}{os.pathsep}{HERE}"}


def output_of(command: list[str], environment: dict[str, str]) -> dict[str, list[str]]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def transcripts(environment) -> dict[str, list[str]]:
    return output_of([sys.executable, str(HERE / "seeded_party.py")], environment)


def test_threads_and_processes_send_the_same_bytes(transcripts):
    threads = transcripts["simulate"]
    assert len(set(threads)) == len(threads) == 2
    assert transcripts["simulate again"] == threads
    assert transcripts["launch"] == threads  # through shared memory
    assert transcripts["launch over Gloo"] == threads


def test_torchrun_sends_the_same_bytes(transcripts, environment, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    command = [*torchrun, f"{HERE}/seeded_party.py", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    sent = [(tmp_path / str(rank)).read_text() for rank in range(2)]
    assert sent == transcripts["simulate"]


def test_the_seed_matters_and_without_one_nothing_repeats(transcripts):
    threads = transcripts["simulate"]
    for name in ("another seed", "after the block"):
        assert not set(transcripts[name]) & set(threads)
