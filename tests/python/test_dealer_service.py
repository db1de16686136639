# SPDX-License-Identifier: MIT
"""The standing dealer: sessions that come and go, who is let in, what it may hold, how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import pytest
import torch
from standing_service import (
    ROOT,
    StandingDealer,
    is_running,
    peak_bytes,
    run_session,
    start_command,
)

import cryptensor as ct
from cryptensor import _C
from cryptensor.announcement import MAX_LINE, Announcement
from cryptensor.config import Settings
from cryptensor.dealer import DealerService
from cryptensor.errors import AuthFailed, ConfigError, PeerLost, SetupError

MIB = 1 << 20
MEMORY_MIB = 160
SECONDS = 2.0  # timeout of sessions that end by it


@pytest.fixture(scope="module")
def dealer():
    started = StandingDealer("--max-sessions", 3, "--memory", MEMORY_MIB)
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    ct.make_certificates(folder, 2)
    return str(folder)


def rectify(rank):
    x = ct.cryptensor(torch.tensor([1.5, -2.0, 0.25]), src=0)
    for _ in range(3):
        x = torch.relu(x * x - 1.0)
    return x.reveal().tolist()


def expected():
    x = torch.tensor([1.5, -2.0, 0.25])
    for _ in range(3):
        x = torch.relu(x * x - 1.0)
    return x.tolist()


def is_right(ends):
    return all(isinstance(end, list) and end == pytest.approx(expected(), abs=1e-3) for end in ends)


# ---- Sessions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("parties", [2, 3])
def test_a_session_comes_and_goes(dealer, parties):
    ends = run_session(dealer.address, rectify, parties)
    assert is_right(ends), ends
    opened = dealer.wait_for("opened", parties=parties)
    dealer.wait_for("closed", session=opened["session"])


def test_sessions_at_once_do_not_meet(dealer):
    both = threading.Barrier(4, timeout=60)
    ends = {}

    def one(name):
        def body(rank):
            both.wait()
            return rectify(rank)

        ends[name] = run_session(dealer.address, body)

    threads = [threading.Thread(target=one, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_right([*ends["a"], *ends["b"]]), ends
    pids = {dealer.wait_for("opened")["pid"] for _ in "ab"}
    assert len(pids) == 2
    for _ in "ab":
        dealer.wait_for("closed")


PARTY = """
import cryptensor as ct, torch
for _ in range(2):
    ct.init(setup_timeout=40)
    print(ct.world_size(), torch.relu(ct.cryptensor([1.0, -1.0], src=0)).reveal().tolist())
    ct.shutdown()
"""


def test_init_and_the_environment(dealer):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1"}
    shared |= {"MASTER_PORT": port, "CRYPTENSOR_DEALER": dealer.address, "PYTHONPATH": ROOT}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", PARTY],
            env={**os.environ, **{k: str(v) for k, v in shared.items()}, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for rank in ranks:
        assert rank.communicate(timeout=90)[0] == "2 [1.0, 0.0]\n" * 2
        assert rank.returncode == 0


def test_launch(dealer):
    assert is_right(ct.launch(lambda: rectify(0), dealer=dealer.address, setup_timeout=40.0))


# ---- Who is let in -----------------------------------------------------------------------------

GOOD = Announcement.of(Settings(), host="127.0.0.1", port=1, name="cryptensor/0/0", loopback=True)
BAD = [
    b"\n",
    b"\x80\x04\x95 no pickle is read\n",
    b"[" * (MAX_LINE - 1) + b"\n",
    b"[]\n",
    b"{}\n",
    b'"' + b"x" * MAX_LINE + b'"\n',
    GOOD.to_line() * 2,
    *(
        json.dumps({**asdict(GOOD), **change}).encode() + b"\n"
        for change in (
            {"version": 2},
            {"version": True},
            {"more": 1},
            {"host": "a b"},
            {"host": 5},
            {"host": ""},
            {"port": 0},
            {"port": True},
            {"port": 65_536},
            {"name": "x" * 201},
            {"name": "a\nb"},
            {"loopback": 1},
            {"encrypted": True},
            {"encrypted": None},
            {"parties": 1},
            {"parties": 1 << 40},
            {"parties": "2"},
            {"precision": 99},
            {"truncation": "wrong"},
            {"truncation": []},
            {"checked": 0},
            {"timeout": -1.0},
            {"setup_timeout": 301.0},
            {"setup_timeout": float("nan")},
        )
    ),
]


@pytest.mark.parametrize("line", BAD, ids=lambda line: str(line[:60]))
def test_what_is_no_announcement_is_refused(dealer, line):
    with socket.create_connection(("127.0.0.1", dealer.port), timeout=10) as link:
        link.sendall(line)
        answer = json.loads(link.makefile().readline())
    assert list(answer) == ["refused"]
    dealer.wait_for("refused")


def test_more_sessions_than_allowed_are_refused(dealer):
    silent = [socket.create_connection(("127.0.0.1", dealer.port), timeout=10) for _ in range(4)]
    answers = []
    for link in silent:
        # Nobody is at the meeting, so each lasts for its setup_timeout.
        link.sendall(Announcement(**{**asdict(GOOD), "setup_timeout": 3.0}).to_line())
        answers.append(json.loads(link.makefile().readline()))
        link.close()
    assert [list(answer) for answer in answers] == [["session"]] * 3 + [["refused"]]
    assert "max_sessions is 3" in answers[3]["refused"]
    for _ in range(3):
        assert "SetupError" in dealer.wait_for("lost")["reason"]


def test_no_dealer_and_one_of_another_kind():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    ends = run_session(f"127.0.0.1:{free}", rectify, setup_timeout=0.5)
    assert isinstance(ends[0], SetupError) and "does not answer" in str(ends[0])
    assert isinstance(ends[1], SetupError)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            link, _ = listener.accept()
            link.sendall(b"SSH-2.0-dropbear\r\n")
            link.close()

        threading.Thread(target=answer).start()
        port = listener.getsockname()[1]
        ends = run_session(f"127.0.0.1:{port}", rectify, setup_timeout=5.0)
    assert isinstance(ends[0], SetupError), ends


def test_certificates(certificates, dealer, tmp_path):
    ct.make_certificates(tmp_path, 2)
    encrypted = StandingDealer("--certificates", certificates)
    try:
        assert is_right(run_session(encrypted.address, rectify, certificates=certificates))
        encrypted.wait_for("closed")
        foreign = run_session(
            encrypted.address, rectify, certificates=str(tmp_path), setup_timeout=3.0
        )
        assert isinstance(foreign[0], AuthFailed), foreign
        encrypted.wait_for("refused")
        plain = run_session(encrypted.address, rectify, setup_timeout=3.0)
        assert isinstance(plain[0], SetupError), plain
        encrypted.wait_for("refused")
        # Party 1 is no party 0.
        for kind in ("pem", "key"):
            os.replace(f"{certificates}/party1.{kind}", f"{certificates}/party0.{kind}")
        other = run_session(
            encrypted.address, rectify, certificates=certificates, setup_timeout=3.0
        )
        assert isinstance(other[0], (AuthFailed, SetupError)), other
        assert "party1" in encrypted.wait_for("refused")["reason"]
        mixed = run_session(dealer.address, rectify, certificates=str(tmp_path), setup_timeout=3.0)
        assert isinstance(mixed[0], (AuthFailed, SetupError)), mixed
    finally:
        assert encrypted.stop() == 0


# ---- Memory ------------------------------------------------------------------------------------


def test_what_never_fits_is_refused_and_named(dealer):
    def body(rank):
        x, y = (ct.cryptensor(torch.rand(3_000_000), src=src) for src in range(2))
        return torch.relu(x + y)

    ends = run_session(dealer.address, body)
    assert any(isinstance(end, PeerLost) for end in ends), ends
    reason = dealer.wait_for("lost")["reason"]
    assert reason.startswith("RangeError") and f"has {MEMORY_MIB} MiB" in reason


def test_a_party_that_asks_and_never_reads_fills_no_memory(dealer):
    """One request of 2 MiB and more becomes 100 of them, whose answers the party takes none of."""
    held, sent = [], []

    def flooded(peer, lane, frame):
        if lane != 1:
            return [frame]
        if not held:
            pid = dealer.wait_for("opened")["pid"]
            held.append((pid, peak_bytes(pid)))
            first = int.from_bytes(frame[16:24], "little")
            numbers = ((first + i).to_bytes(8, "little") for i in range(100))
            return [frame[:16] + number + frame[24:] for number in numbers]
        return [frame]

    def stalled(peer, lane, frame):
        sent.append(lane)
        if sent.count(1) == 100:
            pid, before = held[0]
            time.sleep(SECONDS)
            held.append(peak_bytes(pid) - before)
        return [frame]

    def wrap(rank, transport):
        if rank == 0:
            return transport
        return _C.fault_transport(_C.fault_transport(transport, stalled), flooded)

    def body(rank):
        x = sum(ct.cryptensor(torch.rand(MIB), src=src) for src in range(2))
        return (x * x).reveal()

    run_session(dealer.address, body, timeout=SECONDS + 3.0, wrap=wrap)
    assert dealer.wait_for("lost")["reason"].startswith(("Peer", "Protocol"))
    assert 4 * MIB < held[1] < MEMORY_MIB * MIB, held


# ---- Start and stop ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_sessions_and_the_service(number):
    dealer = StandingDealer("--max-sessions", 1)

    def body(rank):
        x = ct.cryptensor([1.0], src=0) + ct.cryptensor([1.0], src=1)
        if rank == 0:
            opened.append(dealer.wait_for("opened"))
            status.append(dealer.stop(number))
        for _ in range(10_000):
            torch.relu(x * x).reveal()

    opened, status = [], []
    ends = run_session(dealer.address, body, timeout=10.0)
    assert status == [0]
    assert all(isinstance(end, PeerLost) for end in ends), ends
    assert not is_running(opened[0]["pid"])
    assert dealer.all[-1]["event"] == "stopped"


def test_what_cannot_start_is_named_with_status_2(dealer):
    cases = {
        dealer.address: "SetupError: cannot listen at " + dealer.address,
        "127.0.0.1": "ConfigError: listen is '127.0.0.1'",
        "203.0.113.1:7000": "ConfigError: listen is '203.0.113.1:7000' and certificates is None",
    }
    programs = {listen: start_command("dealer", "--listen", listen) for listen in cases}
    for listen, program in programs.items():
        _, errors = program.communicate(timeout=60)
        assert program.returncode == 2, errors
        assert errors.startswith(cases[listen]), errors
        assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "127.0.0.1:65536"),
        ("listen", "[::1:7000"),
        ("max_sessions", 0),
        ("max_sessions", True),
        ("memory", 15),
        ("memory", 1.5),
    ],
)
def test_bad_values_of_the_service(name, value):
    with pytest.raises(ConfigError, match=f"{name} is "):
        DealerService(**{"listen": "127.0.0.1:0", name: value})


@pytest.mark.parametrize(
    "value", ["", "localhost", "localhost:0", "a:b", ":1", 7, "a b:1", "::1:7"]
)
def test_bad_addresses_of_a_dealer(value):
    with pytest.raises(ConfigError, match="dealer is "):
        Settings(dealer=value)
    with pytest.raises(ConfigError, match="dealer is "):
        ct.launch(print, dealer=value)


def test_what_does_not_go_with_a_dealer():
    with pytest.raises(ConfigError, match="provider is 'first_party'"):
        Settings(dealer="127.0.0.1:7000", provider="first_party")
    with pytest.raises(ConfigError, match="seed is"):
        Settings(dealer="127.0.0.1:7000", seed=1)
    with pytest.raises(ConfigError, match="loopback"):
        ct.launch(print, dealer="203.0.113.1:7000")
