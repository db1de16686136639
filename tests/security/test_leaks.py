# SPDX-License-Identifier: MIT
"""No message of any protocol, and no pair of messages, tells its secrets from random bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engines import deal, plan_of, run_traced
from observer import misdirected, watch
from protocols import BY_NAME, LARGEST, PROTOCOLS, PUBLIC_OPERATIONS, play
from uniformity import ALARM, p_value, words_of

# One protocol for each kind of correlation: corrections are seen when a dealer sends them.
DEALT = ("mul", "matmul", "square", "truncate_one_bit", "truncate_interactive", "truncate_exact")
DEALT += ("relu", "relu_pending", "at_least_zero", "piecewise_cubic", "sin_cos", "exp", "is_zero")
DEALT += ("one_hot", "one_hot_of_many", "largest_of_four")
judged: list[str] = []


def check(protocol, secret, parties, provider):
    verdicts = watch(protocol, secret, parties, provider)
    judged.extend(verdict.what for verdict in verdicts)
    leaks = [f"{verdict.what} (p = {verdict.p:.1e})" for verdict in verdicts if verdict.leaks]
    assert not leaks, f"{protocol.name} of {secret}: {'; '.join(leaks)}"
    return verdicts


@pytest.mark.parametrize(
    ("protocol", "secret"),
    [pytest.param(p, secret, id=f"{p.name}-{secret}") for p in PROTOCOLS for secret in p.secrets],
)
def test_online_messages_of_two_parties(protocol, secret):
    verdicts = check(protocol, secret, 2, "first_party")
    assert bool(verdicts) != bool(protocol.public_messages)


@pytest.mark.parametrize("protocol", [p for p in PROTOCOLS if 3 in p.parties], ids=lambda p: p.name)
def test_online_messages_of_three_parties(protocol):
    check(protocol, LARGEST, 3, "first_party")


# What is composed of others shares a mask with them at most where products meet the rest.
REPLICATED = [p for p in PROTOCOLS if len(p.secrets) > 1 or p.name in ("softmax", "sort")]


@pytest.mark.parametrize("protocol", REPLICATED, ids=lambda p: p.name)
def test_messages_of_the_replicated_engine(protocol):
    verdicts = check(protocol, LARGEST, 3, "replicated")
    assert bool(verdicts) != bool(protocol.public_messages)


@pytest.mark.parametrize(
    ("name", "parties"), [(name, 2) for name in DEALT] + [("mul", 3), ("relu_pending", 3)]
)
def test_corrections_of_a_dealer(name, parties):
    verdicts = check(BY_NAME[name], -3.0, parties, "third_party")
    assert any(verdict.what.startswith("dealer_correction") for verdict in verdicts)


@pytest.mark.parametrize("name", ["mul", "truncate_one_bit", "relu_pending", "sin_cos"])
def test_corrections_in_a_store(name, tmp_path):
    """Uniform to the last party, which has nothing else of the others; and nobody else has any."""
    plan = plan_of(play(BY_NAME[name], -3.0))
    deal(plan, tmp_path)
    content = (tmp_path / "party1.store").read_bytes()
    size = plan.lot_bytes(0)
    begin = len(content) - -(-(size + 64) // 4096) * 4096
    p = p_value(words_of(content[begin : begin + size]))
    judged.append(f"store of {name}")
    assert p >= ALARM, f"{name}: p = {p:.1e}"
    assert (tmp_path / "party0.store").stat().st_size == begin
    key = content[104:120]
    assert key != (tmp_path / "party0.store").read_bytes()[104:120]


@pytest.mark.parametrize("name", ["mul_owned", "relu_pending"])
def test_online_messages_with_a_store(name):
    check(BY_NAME[name], -3.0, 2, "stored")


def test_false_alarms_are_rare_over_the_whole_suite():
    """Runs last: about this many numbers below the limit come up by chance in one run of it."""
    if judged:
        assert len(judged) * ALARM < 2e-3


@pytest.mark.parametrize("parties", [2, 3])
def test_only_corrections_leave_the_dealer_and_only_requests_reach_it(parties):
    """Corrections are for the last party. The dealer knows all masks: an opening in its hands would
    be the secret."""
    for protocol in PROTOCOLS:
        if parties not in protocol.parties or not protocol.any_shape:
            continue
        traced = run_traced(play(replace(protocol, shape=(8, 8)), 1.0), parties, "third_party")
        assert not misdirected(traced, parties, "third_party")
        seeds = [frame.peer for frame in traced.frames[parties] if frame.operation == "dealer_seed"]
        assert seeds == list(range(parties))


@pytest.mark.parametrize("provider", ["first_party", "third_party"])
def test_every_operation_that_is_called_public_is_sent(provider):
    """A list of exceptions must not outlive them."""
    frames = run_traced(play(BY_NAME["mul"], 1.0), 2, provider).frames
    sent = {frame.operation for rank in frames for frame in rank}
    dealers = {name for name in PUBLIC_OPERATIONS if name.startswith("dealer")}
    assert set(PUBLIC_OPERATIONS) & sent == set(PUBLIC_OPERATIONS) - (
        dealers if provider == "first_party" else set()
    )
