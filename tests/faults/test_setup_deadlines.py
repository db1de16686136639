# SPDX-License-Identifier: MIT
"""What keeps ranks from meeting and would outlast torch's own timeouts: setup_timeout holds."""

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from cases import case_of
from conftest import library_environment

from cryptensor import rendezvous
from cryptensor.deadline import within
from cryptensor.errors import SetupError

SECONDS = 2.0
# For what is asked when the time is over, and for a busy machine.
LATE = 1.0 + 2.0

# The ranks 1 and 2 of 3, in threads that begin to connect and stay so.
GONE = """
import sys, threading
from torch.distributed import PrefixStore, TCPStore
from cryptensor import rendezvous
port = int(sys.argv[1])

def connect(rank):
    store = TCPStore("127.0.0.1", port, None, False, wait_for_workers=False)
    meeting = rendezvous.Meeting(rank, 3, "127.0.0.1", port, False, True)
    rendezvous.connect_gloo(PrefixStore("test", store), meeting, 60.0)

for rank in (1, 2):
    threading.Thread(target=connect, args=(rank,)).start()
"""


def refused(call):
    """The text of a SetupError that comes in time."""
    start = time.monotonic()
    with pytest.raises(SetupError) as caught:
        call()
    assert time.monotonic() - start <= SECONDS + LATE
    return str(caught.value)


def test_a_port_that_accepts_and_never_answers(fork_server):
    with socket.create_server(("127.0.0.1", 0), backlog=16) as dumb:
        case = case_of("plain", None, port=dumb.getsockname()[1], absent=[0])
        case["settings"]["setup_timeout"] = SECONDS
        (ranks,) = fork_server.play([case])
    for rank in ranks:
        assert (rank["error"], rank["status"]) == ("SetupError", 1), rank
        assert "answers, but not as a store" in rank["message"] and "rank 0" in rank["message"]
        assert rank["at"] - rank["began"] <= SECONDS + LATE, rank


@pytest.fixture
def meeting():
    """Rank 0 of three, with the store of the meeting."""
    from torch.distributed import PrefixStore

    served = rendezvous.serve_loopback_store()
    place = rendezvous.Meeting(0, 3, "127.0.0.1", served.port, True, True)
    return place, PrefixStore("test", served)


def test_a_rank_that_does_not_begin_to_connect_is_named(meeting):
    place, store = meeting
    store.set("connects/1", "")
    text = refused(lambda: rendezvous.connect_gloo(store, place, SECONDS))
    assert "nothing came from rank 2 any more" in text


def test_ranks_that_are_gone_while_they_connect(meeting):
    place, store = meeting
    victim = subprocess.Popen(
        [sys.executable, "-c", GONE, str(place.port)], env=library_environment()
    )
    try:
        # Gloo's own keys: where each rank can be reached.
        store.wait(["connects/1", "connects/2"])
        time.sleep(1.0)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert "Gloo could not connect them" in refused(
        lambda: rendezvous.connect_gloo(store, place, SECONDS)
    )


def test_within():
    assert within(5.0, lambda: 1) == 1
    with pytest.raises(KeyError, match="x"):
        within(5.0, lambda: {}["x"])
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.1, threading.Event().wait)
    assert time.monotonic() - start < 0.1 + LATE
