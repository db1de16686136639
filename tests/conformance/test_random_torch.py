# SPDX-License-Identifier: MIT
"""Random torch programs on secrets against float64: each value within the bound of its steps."""

from __future__ import annotations

import os

import pytest
import torch_rules  # noqa: F401  fills RULES
from torch_programs import RULES, UNIT, Step, play

import cryptensor as ct

PROGRAMS = int(os.environ.get("CRYPTENSOR_PROGRAMS", "200"))
CONFIGURATIONS = [
    (2, "third_party", "default"),
    (2, "first_party", "exact"),
    (3, "third_party", "default"),
    (3, "first_party", "default"),
]
# A program that is wrong again can be run by its number.
FIRST = 1_000


@pytest.mark.parametrize(("parties", "provider", "truncation"), CONFIGURATIONS)
def test_random_programs(parties, provider, truncation):
    number = CONFIGURATIONS.index((parties, provider, truncation))
    seeds = list(range(FIRST + number, FIRST + PROGRAMS, len(CONFIGURATIONS)))

    def body():
        return play(seeds, parties)

    results = ct.simulate(body, parties=parties, provider=provider, truncation=truncation)
    wrong, used = results[0]
    assert wrong == []
    assert all(result == results[0] for result in results)
    assert sum(used.values()) - used["programs"] >= 5 * used["programs"]
    if len(seeds) >= 50:
        # Programs would prove little if some step never came up.
        assert set(RULES) <= set(used)


def test_a_wrong_value_is_noticed(monkeypatch):
    """Off by a hundred units in one kind of step."""

    def wrong(t):
        return t.neg() + 100 * UNIT * isinstance(t, ct.CrypTensor)

    def rule(program, x):
        if not isinstance(x.secret, ct.CrypTensor):
            return None
        return Step(wrong, [x], x.bound)

    monkeypatch.setitem(RULES, "neg", rule)
    found, _ = ct.simulate(lambda: play(list(range(20)), 2), provider="first_party")[0]
    assert found
