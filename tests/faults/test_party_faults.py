# SPDX-License-Identifier: MIT
"""One party fails: the others get a named error in time, and no process is left."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import pytest
import torch

import cryptensor as ct
from cryptensor.errors import Error, RemoteError

ROOT = Path(__file__).resolve().parents[2]
# How long three fresh interpreters with torch may take on a busy machine.
START_SECONDS = 25.0
RUNNERS = [ct.launch, ct.simulate]
both = pytest.mark.parametrize("run", RUNNERS, ids=["processes", "threads"])


def marked_processes(mark):
    """Living processes that inherited the mark: parties, dealers, and what they started."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if f"CRYPTENSOR_TEST_MARK={mark}".encode() in environment:
            found.add(int(entry.name))
    return found


@pytest.fixture(autouse=True)
def mark(monkeypatch):
    """A mark that every process started by the test bears; none may be left after the test."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv("CRYPTENSOR_TEST_MARK", mark)
    yield mark
    deadline = time.monotonic() + 2.0
    while marked_processes(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked_processes(mark) == set()


def open_a_number():
    return ct.cryptensor(torch.ones(2), src=0).reveal()


# ---- a party ends ------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("provider", ["third_party", "first_party"])
def test_the_party_that_raised_is_named_and_not_its_echo(run, parties, provider):
    def body():
        open_a_number()
        if ct.rank() == parties - 1:
            raise KeyError("missing column")
        return open_a_number()

    start = time.monotonic()
    with pytest.raises(RemoteError) as caught:
        run(body, parties=parties, provider=provider)
    error = caught.value
    assert (error.party, error.kind) == (parties - 1, "KeyError")
    assert {f.kind for f in error.failures if f.party != error.party} <= {"PeerLost"}
    assert time.monotonic() - start < START_SECONDS


@both
def test_the_other_party_gets_peer_lost_within_a_second(run):
    waited = []

    def body():
        open_a_number()
        if ct.rank() == 1:
            raise ValueError("enough")
        start = time.monotonic()
        try:
            open_a_number()
        except Error as error:
            ct.progress((type(error).__name__, time.monotonic() - start))
            raise

    with pytest.raises(RemoteError, match="party 1 raised ValueError: enough"):
        run(body, on_progress=lambda party, message: waited.append((party, *message)))
    ((party, name, seconds),) = waited
    assert (party, name) == (0, "PeerLost")
    assert seconds < 1.0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_party_is_named_with_the_signal(number):
    def body():
        open_a_number()
        if ct.rank() == 1:
            os.kill(os.getpid(), number)
        return open_a_number()

    with pytest.raises(RemoteError, match=f"party 1 was killed by {number.name}") as caught:
        ct.launch(body)
    assert (caught.value.party, caught.value.kind) == (1, number.name)


def test_a_killed_party_is_noticed_within_a_second():
    waited = []

    def body():
        open_a_number()
        if ct.rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        start = time.monotonic()
        try:
            open_a_number()
        except Error as error:
            ct.progress((type(error).__name__, time.monotonic() - start))
            raise

    with pytest.raises(RemoteError, match="killed by SIGKILL"):
        ct.launch(body, on_progress=lambda party, message: waited.append((party, *message)))
    ((party, name, seconds),) = waited
    assert (party, name) == (0, "PeerLost")
    assert seconds < 1.0


def test_a_stopped_party_is_a_timeout_of_its_peer():
    timeout = 1.5
    waited = []

    def body():
        open_a_number()
        if ct.rank() == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        start = time.monotonic()
        try:
            open_a_number()
        except Error as error:
            ct.progress((type(error).__name__, time.monotonic() - start))
            raise

    with pytest.raises(RemoteError, match="party 0 raised PeerTimeout") as caught:
        ct.launch(
            body,
            timeout=timeout,
            on_progress=lambda party, message: waited.append((party, *message)),
        )
    assert "peer 1" in caught.value.message
    ((_, name, seconds),) = waited
    assert name == "PeerTimeout"
    assert timeout - 0.1 < seconds < timeout + 1.0


@both
def test_a_party_that_leaves_early_is_noticed(run):
    def body():
        open_a_number()
        return None if ct.rank() == 1 else open_a_number()

    # Whoever hears of it first: one expects a number, the other a goodbye.
    with pytest.raises(RemoteError, match=r"party \d raised ProtocolError: .*goodbye"):
        run(body, timeout=2.0)


@both
def test_parties_may_compute_alone_for_longer_than_the_timeout(run):
    def body():
        open_a_number()
        time.sleep(2.5)
        return (ct.cryptensor(torch.ones(2), src=0) * 3.0).relu().reveal().tolist()

    assert run(body, timeout=1.0) == [[3.0, 3.0]] * 2


# ---- the parent ends ---------------------------------------------------------------------------

LONG_PROGRAM = textwrap.dedent(
    """
    import os, time
    import cryptensor as ct
    def body():
        ct.progress(os.getpid())
        time.sleep(60)
    ct.launch(body, on_progress=lambda party, pid: print(pid, flush=True))
    """
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_parties_end_with_their_parent(mark, number):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    program = subprocess.Popen(
        [sys.executable, "-c", LONG_PROGRAM],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    parties = [int(program.stdout.readline()) for _ in range(2)]
    assert set(parties) <= marked_processes(mark)
    program.send_signal(number)
    _, err = program.communicate(timeout=10)
    assert program.returncode != 0
    # Ctrl-C is one traceback, the parent's own; the parties stay silent.
    assert err.count("Traceback") == (1 if number == signal.SIGINT else 0), err


# ---- bad input at one party --------------------------------------------------------------------


def error_of(data, src):
    """What every party gets when it encrypts its own `data[rank]`."""
    try:
        ct.cryptensor(data[ct.rank()], src=src)
    except Exception as error:
        return type(error).__name__, str(error)
    return "nothing", ""


BAD_VALUES = {
    "nan": (torch.tensor([1.0, float("nan")]), "RangeError"),
    "inf": (torch.tensor([float("inf"), 0.0]), "RangeError"),
    "minus inf": (torch.tensor([-float("inf"), 0.0]), "RangeError"),
    "too large": (torch.tensor([0.0, 2.0**50]), "RangeError"),
}


@both
@pytest.mark.parametrize("src", [0, 1])
@pytest.mark.parametrize(("value", "name"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_value_that_cannot_be_encoded_is_an_error_at_every_party(run, src, value, name):
    data = [torch.zeros(2), torch.zeros(2)]
    data[src] = value
    assert [kind for kind, _ in run(error_of, data, src)] == [name, name]


@both
@pytest.mark.parametrize("value", ["text", torch.ones(2, dtype=torch.complex64), None, {"a": 1}])
def test_a_wrong_type_is_an_error_at_every_party(run, value):
    kinds = [kind for kind, _ in run(error_of, [torch.zeros(2), value], 1)]
    assert kinds[1] == "TypeError"
    assert kinds[0] not in ("nothing", "PeerLost", "PeerTimeout")


@both
def test_shapes_that_differ_are_an_error_at_every_party(run):
    results = run(error_of, [torch.zeros(2, 3), torch.zeros(3, 2)], 0)
    assert [kind for kind, _ in results] == ["ShapeError", "ShapeError"]


@both
def test_sources_that_differ_are_an_error_at_every_party(run):
    def body():
        try:
            ct.cryptensor(torch.ones(2), src=ct.rank())
        except Error as error:
            return type(error).__name__
        return "nothing"

    for kind in run(body, timeout=2.0):
        assert kind in ("ProtocolError", "ConfigError")


@both
def test_the_session_still_works_after_a_refused_input(run):
    def body():
        refused = error_of([torch.tensor([float("nan")]), torch.zeros(1)], 0)[0]
        return refused, ct.cryptensor(torch.tensor([2.0]), src=0).reveal().tolist()

    assert run(body) == [("RangeError", [2.0])] * 2
