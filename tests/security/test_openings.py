# SPDX-License-Identifier: MIT
"""Nothing but a reveal opens: frames of the operation `reveal` against those that are listed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from engines import C, run_traced

sys.path.append(str(Path(__file__).resolve().parents[1] / "conformance"))
from function_operations import FUNCTIONS
from operations import OPERATIONS
from test_operations import applies, place

from cryptensor.openings import Openings

PARTIES = 2
CASES = [o for o in OPERATIONS + FUNCTIONS if applies(o, PARTIES)]
# In checked mode no product is pending, so there are fewer bits to drop.
CHECKED = [o for o in CASES if not o.name.endswith("_most_bits")]


def frames_of(body, **settings):
    frames = run_traced(body, PARTIES, **settings).frames
    return [sum(f.operation == "reveal" for f in sent) for sent in frames]


def body_of(operation, reveals, listed=None):
    torch.manual_seed(len(operation.name))
    values = [1 + 3 * torch.rand(o.shape, dtype=torch.float64) for o in operation.operands]

    def body(engine):
        openings = Openings()
        engine.guard_reveals(openings)
        operands = [place(engine, *pair) for pair in zip(operation.operands, values, strict=True)]
        result = operation.apply(engine, *operation.prepare(engine, *operands))
        result = result[0] if isinstance(result, tuple) else result
        for _ in range(reveals):
            engine.reveal(engine.share(result))
        if listed is not None:
            listed.append(sum(o.count for o in openings.listed()))

    return body


@pytest.mark.parametrize("operation", CASES, ids=lambda operation: operation.name)
def test_no_operation_opens_anything(operation):
    assert frames_of(body_of(operation, 0)) == [0] * PARTIES
    assert frames_of(body_of(operation, 2)) == [2] * PARTIES


@pytest.mark.parametrize("operation", CHECKED, ids=lambda operation: operation.name)
def test_checked_mode_opens_one_bit_for_each_verdict_and_nothing_else(operation):
    listed: list[int] = []
    frames = run_traced(body_of(operation, 0, listed), PARTIES, checked=True).frames
    for sent in frames:
        opened = [len(f.payload) for f in sent if f.operation == "reveal"]
        assert set(opened) <= {8}
        assert len(opened) <= listed[0]
    assert sum(f.operation == "reveal" for sent in frames for f in sent) > 0 or listed[0] == 0


def test_a_planted_opening_is_found():
    def body(engine):
        x = engine.share(engine.public(torch.ones(3)))
        engine.reveal(x)
        engine.square(x)

    assert frames_of(body) == [1, 1]


def test_a_guard_stops_the_frame():
    class ForbiddenError(Exception):
        pass

    def body(engine):
        def guard(operation, shape, dst):
            raise ForbiddenError(f"{operation} {shape} {dst}")

        engine.guard_reveals(guard)
        with pytest.raises(ForbiddenError, match=r" \[3\] 1"):
            engine.reveal(engine.share(engine.public(torch.ones(3))), 1)
        with pytest.raises(C.ConfigError):  # a bad rank is told first
            engine.reveal(engine.share(engine.public(torch.ones(3))), 9)

    assert frames_of(body) == [0, 0]
