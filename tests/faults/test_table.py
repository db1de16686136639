# SPDX-License-Identifier: MIT
"""Each row of the table names tests that exist."""

import ast
import re
from pathlib import Path

import pytest
from table import ROWS

TESTS = Path(__file__).resolve().parents[1]
CPP_TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.MULTILINE)


def names_in(file):
    text = (TESTS / file).read_text()
    if file.endswith(".cpp"):
        return {f"{suite}.{name}" for suite, name in CPP_TEST.findall(text)}
    return {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_tests_that_exist(row):
    assert ROWS[row]
    for place in ROWS[row]:
        file, _, name = place.partition("::")
        assert name in names_in(file), place


def test_a_test_that_is_gone_is_seen():
    assert "test_every_row_has_tests_that_exist" in names_in("faults/test_table.py")
    assert "test_that_never_was" not in names_in("faults/test_table.py")
    assert "HostileFrames.AreRefusedInMemory" in names_in("csrc/net/hostile_frames_test.cpp")
