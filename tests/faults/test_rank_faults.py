# SPDX-License-Identifier: MIT
"""A rank fails at a random moment of a program: what the other ranks get, and when.

Five moments a fault, over Gloo, shared memory and encrypted links. The ranks are processes with
torchrun's variables; test_started_faults.py has some of it under ct.launch and torchrun itself.
"""

import random

import pytest
from cases import (
    DEALER,
    LOST_SECONDS,
    MOMENTS,
    SLACK,
    TIMEOUT_SECONDS,
    case_of,
    check_survivors,
    links,
)
from rank_program import OPERATIONS


def moments_of(fault, link, frames):
    """Victims and moments: of operations, or frames of the victim, the last quarter left out.

    So late a dealer has nothing left to do that anybody waits for.
    """
    draw = random.Random(f"{fault} {link}")
    found = []
    for i in range(MOMENTS):
        victim = DEALER if fault.startswith("dealer ") else i % 2
        end = 3 * frames[victim] // 4 if "inside" in fault else OPERATIONS - 1
        found.append((victim, draw.randrange(1, end)))
    return found


def play(fork_server, fault, link, folder, frames, **more):
    """The cases of a fault, with what became of their ranks."""
    name = fault.removeprefix("dealer ")
    cases = [
        case_of(link, folder, name, victim, moment, **more)
        for victim, moment in moments_of(fault, link, frames)
    ]
    return list(zip(cases, fork_server.play(cases), strict=True))


@links
@pytest.mark.parametrize("fault", ["inside killed", "inside exits", "raises", "leaves"])
def test_a_party_that_ends_is_lost_at_once(fork_server, certificates, frames, fault, link):
    for case, ranks in play(fork_server, fault, link, certificates, frames):
        check_survivors(case, ranks, {"PeerLost"}, LOST_SECONDS)
        status = ranks[case["victim"]]["status"]
        assert status == {"inside killed": -9, "raises": 1}.get(fault, 0), (case, ranks)


@links
def test_a_stopped_party_is_a_timeout(fork_server, certificates, frames, link):
    fault = "inside stopped"
    for case, ranks in play(fork_server, fault, link, certificates, frames, patience=3.0):
        # Who waits for it times out; who waits for those, as the dealer does, loses them.
        errors = check_survivors(case, ranks, {"PeerTimeout", "PeerLost"}, TIMEOUT_SECONDS)
        assert "PeerTimeout" in errors
        assert f"peer {case['victim']} did not answer" in str(ranks)


@links
@pytest.mark.parametrize("fault", ["skips", "order"])
def test_parties_that_do_different_things_are_told(fork_server, certificates, frames, fault, link):
    for case, ranks in play(fork_server, fault, link, certificates, frames):
        kinds = {"ProtocolError", "PeerLost"}
        errors = check_survivors(case, ranks, kinds, LOST_SECONDS)
        errors.append(ranks[case["victim"]].get("error"))
        assert "ProtocolError" in errors and set(errors) <= kinds, (case, ranks)


@links
def test_a_dealer_that_ends_is_lost_at_once(fork_server, certificates, frames, link):
    for case, ranks in play(fork_server, "dealer inside killed", link, certificates, frames):
        check_survivors(case, ranks, {"PeerLost"}, LOST_SECONDS)


@links
def test_a_stopped_dealer_is_a_timeout(fork_server, certificates, frames, link):
    for case, ranks in play(fork_server, "dealer inside stopped", link, certificates, frames):
        errors = check_survivors(case, ranks, {"PeerTimeout", "PeerLost"}, TIMEOUT_SECONDS)
        assert "PeerTimeout" in errors


@links
def test_a_dealer_that_comes_back_is_not_let_in(fork_server, certificates, frames, link):
    """Its correlations are gone: the session ends, and the new process hears so in time."""
    cases = [
        case_of(link, certificates, "inside killed", DEALER, moment, again=True)
        for _, moment in moments_of("dealer inside again", link, frames)
    ]
    for case, ranks in zip(cases, fork_server.play(cases), strict=True):
        *ranks, again = ranks
        check_survivors(case, ranks, {"PeerLost"}, LOST_SECONDS)
        assert again.get("error") in {"SetupError", "PeerLost"}, (case, again)
        assert again["at"] - again["began"] <= 10.0 + SLACK and again["status"] == 1
