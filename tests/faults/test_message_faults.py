# SPDX-License-Identifier: MIT
"""A frame is altered on its way at a random moment: a named error, and no result.

In memory, over Gloo, shared memory and encrypted links, with decorators above the link: what a
peer's program sends wrongly. Bytes that are altered below, on the wire, are in test_wire_faults.py.
"""

import random

import pytest
from cases import LOST_SECONDS, MOMENTS, case_of, check_survivors, links
from rank_program import MUTATIONS, Strike, compute, is_right

import cryptensor as ct
from cryptensor import _C, session
from cryptensor.errors import RemoteError

KINDS = {"ProtocolError", "PeerLost"}


def moments_of(kind, link, counts):
    draw = random.Random(f"{kind} {link}")
    # Not the first two frames: there is nothing before them that could be sent again.
    return [(i % 3, draw.randrange(3, 3 * counts[i % 3] // 4)) for i in range(MOMENTS)]


@links
@pytest.mark.parametrize("kind", MUTATIONS)
def test_over_a_link(fork_server, certificates, frames, kind, link):
    cases = [
        case_of(link, certificates, f"message {kind}", victim, moment)
        for victim, moment in moments_of(kind, link, frames)
    ]
    for case, ranks in zip(cases, fork_server.play(cases), strict=True):
        errors = check_survivors(case, ranks, KINDS, LOST_SECONDS)
        assert "ProtocolError" in errors, (case, ranks)
        assert ranks[case["victim"]]["error"] in KINDS
        assert ranks[case["victim"]]["status"] == 1


@pytest.mark.parametrize("kind", MUTATIONS)
def test_in_memory(monkeypatch, frames, kind):
    plain = session.open_session
    for victim, moment in moments_of(kind, "memory", frames):
        strike = Strike(f"message {kind}", moment, lambda record: None)

        def open_session(transport, rank, *rest, victim=victim, strike=strike):
            if rank == victim:
                transport = _C.fault_transport(transport, strike.at_frame)
            return plain(transport, rank, *rest)

        monkeypatch.setattr(session, "open_session", open_session)
        with pytest.raises(RemoteError) as caught:
            ct.simulate(compute, timeout=10.0)
        kinds = {failure.kind for failure in caught.value.failures}
        assert "ProtocolError" in kinds and kinds <= KINDS


def test_without_a_fault_the_same_decorator_changes_nothing(monkeypatch):
    plain = session.open_session

    def open_session(transport, *rest):
        strike = Strike("none", 5, lambda record: None)
        return plain(_C.fault_transport(transport, strike.at_frame), *rest)

    monkeypatch.setattr(session, "open_session", open_session)
    assert all(is_right(result) for result in ct.simulate(compute))
