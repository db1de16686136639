# SPDX-License-Identifier: MIT
"""Planted leaks are seen: a leak test that cannot fail protects nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import MUTANTS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# A comparison opens the masked elements, two levels of its tree and the result bits; equality has
# none of these bits.
KINDS = {"relu_pending": 4, "piecewise": 4, "is_zero": 3}
MARKS = (b"CRYPTENSOR_MUTANT", b"planted")

each_mutant = pytest.mark.parametrize(
    "mutant", MUTANTS, ids=[f"{m.number}-{m.name}-{m.scope}".replace(" ", "_") for m in MUTANTS]
)


def module_with_leaks() -> Path:
    if given := os.environ.get("CRYPTENSOR_MUTANTS_MODULE"):
        return Path(given)
    built = sorted(ROOT.glob("build/*/mutants/_C*.so"), key=lambda path: path.stat().st_mtime)
    if not built:
        pytest.fail(
            "the module with planted leaks is missing: cmake --build build/cmake --target mutants"
        )
    return built[-1]


@pytest.fixture(scope="module")
def found() -> dict:
    """By mutant: for each protocol the messages that leak."""
    environment = {
        **os.environ,
        "CRYPTENSOR_TEST_MODULE": str(module_with_leaks()),
        "PYTHONPATH": str(HERE.parent),
    }
    command = [sys.executable, str(HERE / "mutants.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return dict(zip(MUTANTS, json.loads(done.stdout), strict=True))


@each_mutant
def test_mutant(found, mutant):
    for protocol, leaks in found[mutant].items():
        if mutant.number == 0:
            assert not leaks, f"false alarm in {protocol}"
            continue
        kinds = {leak.split(":")[0] for leak in leaks}
        wanted = 1 if mutant.number == 11 else KINDS.get(protocol, 1)
        assert len(kinds) >= wanted, f"{protocol} leaks in {sorted(kinds)} only"


def test_every_leak_of_the_header_is_planted():
    header = (ROOT / "csrc/crypto/mutant.h").read_text()
    body = header[header.index("enum Leak {") : header.index("};")]
    numbers = {int(line.split("=")[1].split(",")[0]) for line in body.splitlines() if "=" in line}
    assert numbers == {mutant.number for mutant in MUTANTS}


def test_the_installed_module_has_no_trace_of_them():
    from cryptensor import _C

    installed, with_leaks = Path(_C.__file__).read_bytes(), module_with_leaks().read_bytes()
    assert MARKS[0] in with_leaks
    assert MARKS[0] not in installed
    assert b"crypto6mutant" not in installed  # a symbol of the namespace
