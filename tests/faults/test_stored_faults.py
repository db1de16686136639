# SPDX-License-Identifier: MIT
"""Consumers of a store that are killed at any moment use nothing twice and lose nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HERE, library_environment
from engines import C, deal, run
from store_consumer import steps

LOTS, KILLS = 600, 50


@pytest.mark.parametrize("seed", [1])
def test_fifty_killed_consumers(tmp_path, seed):
    def traced(engine):
        steps(engine, 3, None)
        return engine

    plan = C.Plan.of(run(traced, 2, "first_party", records=True)[-1])
    assert plan.step > 0
    deal(plan, tmp_path, LOTS, 1)
    log = tmp_path / "log"
    log.touch()
    more = str(Path(HERE).parent)
    environment = library_environment()
    environment["PYTHONPATH"] += f":{more}"
    done = subprocess.run(
        [sys.executable, str(HERE / "store_consumer.py"), tmp_path, log, str(KILLS), str(seed)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    killed, status, left = map(int, done.stdout.split())
    assert (status, left) == (3, 0), done.stderr
    assert killed >= KILLS
    lines = log.read_text().split()
    assert len(set(lines)) == len(lines), "a correlation was used twice"
    # Two steps a lot. A killed consumer loses the lot that it had claimed, and no other.
    assert 2 * LOTS - 2 * killed <= len(lines) <= 2 * LOTS
    assert len(lines) > LOTS, "the consumers did nothing before they were killed"
