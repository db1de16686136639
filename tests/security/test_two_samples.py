# SPDX-License-Identifier: MIT
"""Two inputs, one transcript: what is sent, how much and to whom does not tell which it was.

The 65,536 elements of a message are as many runs of a protocol on the same secret.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engines import run_traced
from homogeneity import p_value
from observer import opened, rounds_of
from protocols import LARGEST, PROTOCOLS, play
from uniformity import ALARM, words_of

PAIR = (0.0, LARGEST)
FEW = (8, 8)


def outline(traced) -> list:
    """All that an observer sees of frames without their bytes."""
    return [[(f.peer, f.lane, f.operation, len(f.payload)) for f in rank] for rank in traced.frames]


def differences(protocol, parties, provider) -> list[str]:
    runs = [
        rounds_of(run_traced(play(protocol, x), parties, provider, **protocol.settings))
        for x in PAIR
    ]
    assert runs[0].keys() == runs[1].keys()
    found = []
    for kind in runs[0]:
        operation = kind.split()[0]
        if operation in protocol.public_messages:
            continue
        for number, pair in enumerate(zip(*(run[kind] for run in runs), strict=True)):
            made = [{f"of party {sender}": words for sender, words in m.items()} for m in pair]
            if len(pair[0]) > 1 and operation not in protocol.public_openings:
                made = [m | opened(messages) for m, messages in zip(made, pair, strict=True)]
            assert made[0].keys() == made[1].keys()
            for what in made[0]:
                p = p_value(made[0][what], made[1][what])
                if p < ALARM:
                    found.append(f"{kind}, number {number}, {what}: p = {p:.1e}")
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_two_inputs_send_the_same_distribution(protocol):
    """With a dealer, so that corrections are looked at too."""
    assert differences(protocol, 2, "third_party") == []


@pytest.mark.parametrize("name", ["mul", "relu_pending", "truncate_interactive", "one_hot"])
@pytest.mark.parametrize(("parties", "provider"), [(2, "first_party"), (3, "third_party")])
def test_so_do_other_sessions(name, parties, provider):
    (protocol,) = (p for p in PROTOCOLS if p.name == name)
    assert differences(protocol, parties, provider) == []


@pytest.mark.parametrize("protocol", [p for p in PROTOCOLS if p.any_shape], ids=lambda p: p.name)
def test_two_inputs_send_frames_of_the_same_kind_and_size(protocol):
    small = replace(protocol, shape=FEW, second_shape=None)
    first, second = (outline(run_traced(play(small, x), 2, "third_party")) for x in PAIR)
    assert first == second


def random_words(seed: int, n: int = 65_536) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


def test_equal_distributions_are_not_told_apart():
    values = [p_value(random_words(2 * i), random_words(2 * i + 1, 65_536)) for i in range(200)]
    assert min(values) > ALARM and sum(p < 0.5 for p in values) > 20


@pytest.mark.parametrize("bits", [1, 8, 32, 63])
def test_a_mask_that_leaves_bits_is_seen(bits):
    """Of a secret that differs in the lowest or the highest bit alone."""
    hidden = np.uint64((1 << bits) - 1)
    secrets = (np.uint64(0), np.uint64(1) << np.uint64(63))
    a, b = ((random_words(i) & hidden) + s for i, s in enumerate(secrets))
    assert p_value(a, b) < ALARM


def test_one_percent_without_a_mask_is_seen():
    spoiled = [random_words(i) for i in range(2)]
    for words, secret in zip(spoiled, (0, 1 << 62), strict=True):
        words[::100] = secret
    assert p_value(*spoiled) < ALARM


def test_packed_bits_are_told_apart():
    few = 384
    a = words_of(bytes(few * 8))
    assert p_value(a, random_words(1, few)) < ALARM
    assert p_value(random_words(2, few), random_words(1, few)) > ALARM
