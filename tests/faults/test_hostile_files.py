# SPDX-License-Identifier: MIT
"""Mutated share files: each is refused by name, or is exactly what it says."""

import random
import sys
from pathlib import Path

import pytest
from saved_files import file_of, outcomes, saved

import cryptensor as ct
from cryptensor.errors import FileError

FUZZ = Path(__file__).parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))
from share_file import is_accepted, mutated, sealed  # noqa: E402

MUTATIONS = 10_000
CORPUS = sorted((FUZZ / "corpus" / "share_file").iterdir())


def test_the_corpus_is_as_good_as_its_names():
    assert len(CORPUS) >= 4
    for file in CORPUS:
        assert is_accepted(file.read_bytes()) == file.name.startswith("good"), file.name


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_are_refused_by_name(seed):
    chance = random.Random(seed)
    seeds = [file.read_bytes() for file in CORPUS]
    accepted = 0
    for _ in range(MUTATIONS // 4):
        content = mutated(chance.choice(seeds), chance)
        is_accepted(content)
        accepted += is_accepted(sealed(content))
    # Elements may be anything, so some pass: otherwise nothing behind the checksum was reached.
    assert 0 < accepted < MUTATIONS // 8


def test_a_mutated_file_is_an_error_at_all_parties(tmp_path):
    path = saved(tmp_path)
    file = file_of(path, 1)
    content, chance = file.read_bytes(), random.Random(7)
    for _ in range(20):
        hostile = mutated(content, chance)
        if hostile == content:
            continue
        file.write_bytes(hostile)
        errors = outcomes(lambda: ct.load(path))
        assert [type(error) for error in errors] == [FileError] * 2, errors
