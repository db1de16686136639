# SPDX-License-Identifier: MIT
"""A standing dealer, its sessions and their parties fail one by one: the others go on."""

import contextlib
import os
import random
import signal
import socket
import ssl
import threading
import time

import pytest
from cases import LOST_SECONDS, SLACK, TIMEOUT, TIMEOUT_SECONDS, case_of
from rank_program import OPERATIONS, compute, is_right
from standing_service import StandingDealer, is_running, peak_bytes, run_session

from cryptensor.announcement import MAX_LINE
from cryptensor.errors import PeerLost, PeerTimeout

pytestmark = pytest.mark.usefixtures("mark")
# Under load a process takes its time to start.
SETUP_SECONDS = 20.0


@pytest.fixture
def dealer(mark):
    started = StandingDealer()
    yield started
    started.stop()


def at(dealer, fault="none", victim=None, moment=-1, link="plain", folder=None, **more):
    """A case of two parties that come to the dealer."""
    case = case_of(link, folder, fault, victim, moment, size=2, **more)
    case["settings"] |= {"dealer": dealer.address, "setup_timeout": SETUP_SECONDS}
    return case


def is_well(ranks):
    return [rank["status"] for rank in ranks] == [0, 0] and all(rank["result"] for rank in ranks)


def check_parties(case, ranks, kinds, seconds, struck):
    for rank, end in enumerate(ranks):
        if rank != case["victim"]:
            assert end.get("error") in kinds, (case, end)
            assert end["at"] - struck <= seconds, (case, end)
            assert end["status"] == 1, (case, end)


@pytest.fixture(scope="module")
def steady():
    """One that no test strikes."""
    started = StandingDealer()
    yield started
    assert started.stop() == 0


@pytest.mark.parametrize(
    ("fault", "victim", "kinds", "seconds"),
    [
        ("inside killed", 0, {"PeerLost"}, LOST_SECONDS),
        ("inside stopped", 1, {"PeerTimeout", "PeerLost"}, TIMEOUT_SECONDS),
    ],
)
def test_a_party_that_fails_ends_its_session_only(
    fork_server, steady, fault, victim, kinds, seconds
):
    moment = random.Random(f"{fault} {victim}").randrange(20, 80)
    cases = [at(steady, fault, victim, moment, patience=3.0), at(steady)]
    failed, well = fork_server.play(cases)
    struck = failed[victim]["struck"]
    check_parties(cases[0], failed, kinds, seconds, struck)
    assert is_well(well), well
    lost = steady.wait_for("lost")
    # The service's clock is that of the day.
    offset = time.time() - time.monotonic()
    assert lost["time"] - offset - struck <= TIMEOUT_SECONDS + SLACK, steady.all


# ---- The dealer fails --------------------------------------------------------------------------


def strike_in_session(dealer, strike, **settings):
    """The ends of a session whose dealer is struck in the middle, and how long they took then."""
    struck = []

    def body(rank):
        for _ in range(20):  # what the dealer has sent ahead runs out
            compute(lambda index: strike_at(rank, index))

    def strike_at(rank, index):
        if rank == 0 and index == OPERATIONS // 2 and not struck:
            opened = dealer.wait_for("opened")
            struck.append(time.monotonic())
            strike(opened)
        return index

    ends = run_session(dealer.address, body, timeout=TIMEOUT, **settings)
    return ends, time.monotonic() - struck[0]


def test_a_killed_service_takes_its_sessions_and_a_new_one_serves(dealer):
    pids = []

    def strike(opened):
        pids.append(opened["pid"])
        dealer.program.kill()

    ends, seconds = strike_in_session(dealer, strike)
    assert all(isinstance(end, PeerLost) for end in ends), ends
    assert seconds <= LOST_SECONDS
    # Its links close a moment before the process is gone.
    deadline = time.monotonic() + LOST_SECONDS
    while is_running(pids[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pids[0])
    dealer.program.wait()
    again = StandingDealer(listen=dealer.address)
    try:
        ends = run_session(again.address, lambda rank: is_right(compute()), timeout=TIMEOUT)
        assert ends == [True, True]
    finally:
        again.stop()


def test_a_killed_session_process_is_lost_alone(dealer):
    other = {}

    def strike(opened):
        os.kill(opened["pid"], signal.SIGKILL)

    def body(rank):
        both.wait()
        result = compute()
        over.wait(60)
        return is_right(result) and is_right(compute())

    def work():
        other.update(ends=run_session(dealer.address, body, timeout=30.0))

    both, over = threading.Barrier(3, timeout=60), threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    dealer.wait_for("opened")
    both.wait()
    ends, seconds = strike_in_session(dealer, strike)
    over.set()
    thread.join()
    assert all(isinstance(end, PeerLost) for end in ends), ends
    assert seconds <= LOST_SECONDS
    assert "SIGKILL" in dealer.wait_for("lost")["reason"]
    assert other["ends"] == [True, True], other


def test_a_slow_session_process_is_a_timeout(dealer):
    stopped = []

    def strike(opened):
        stopped.append(opened["pid"])
        os.kill(opened["pid"], signal.SIGSTOP)

    ends, seconds = strike_in_session(dealer, strike)
    kinds = {type(end) for end in ends}
    assert PeerTimeout in kinds and kinds <= {PeerTimeout, PeerLost}, ends
    assert seconds <= TIMEOUT_SECONDS
    os.kill(stopped[0], signal.SIGCONT)
    dealer.wait_for("lost")


# ---- Hostile bytes -----------------------------------------------------------------------------


def hostile(port, draw):
    """Connections with all that is no announcement; those that stay open."""
    kept = []
    for index in range(60):
        link = socket.create_connection(("127.0.0.1", port), timeout=5)
        kind = index % 6
        with contextlib.suppress(OSError):
            if kind == 0:
                link.sendall(draw.randbytes(draw.randrange(1, 200_000)))
            elif kind == 1:
                link.sendall(b"{" * (MAX_LINE - 1))
            elif kind == 2:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.wrap_socket(link, do_handshake_on_connect=False).setblocking(False)
            elif kind == 3:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                link.sendall(b"{")
            else:
                kept.append(link)
                continue
        link.close()
    return kept


@pytest.mark.parametrize("link", ["plain", "encrypted"])
def test_garbage_at_the_port_disturbs_nobody(mark, certificates, link):
    folder = certificates if link == "encrypted" else None
    dealer = StandingDealer(*(["--certificates", folder] if folder else []))
    try:
        kept = []

        def body(rank):
            if rank == 0:
                before = peak_bytes(dealer.program.pid)
                kept.extend(hostile(dealer.port, random.Random("garbage")))
                assert peak_bytes(dealer.program.pid) - before < 64 << 20
            return is_right(compute())

        for _ in range(2):  # the second one meets those that are silent
            ends = run_session(dealer.address, body, timeout=30.0, certificates=folder)
            assert ends == [True, True], ends
        for silent in kept:
            silent.close()
        assert dealer.program.poll() is None
    finally:
        assert dealer.stop() == 0
