# SPDX-License-Identifier: MIT
"""One party fails: the others get a named error in time, and no process is left."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from conftest import marked_processes

import cryptensor as ct
from cryptensor.errors import Error, RemoteError

ROOT = Path(__file__).resolve().parents[2]
# How long three fresh interpreters with torch may take on a busy machine.
START_SECONDS = 25.0
RUNNERS = [ct.launch, ct.simulate]
pytestmark = pytest.mark.usefixtures("mark")
both = pytest.mark.parametrize("run", RUNNERS, ids=["processes", "threads"])


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
        # A shell's background job ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
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


def errors_of(cases):
    """The error of each (source, value), and that the session still works after all of them."""
    found = []
    for src, value in cases:
        data = [torch.zeros(2), torch.zeros(2)]
        data[src] = value
        found.append(error_of(data, src)[0])
    return found, ct.cryptensor(torch.tensor([2.0]), src=0).reveal().tolist()


@both
def test_a_value_that_cannot_be_encoded_is_an_error_at_every_party(run):
    cases = [(src, value) for src in (0, 1) for value, _ in BAD_VALUES.values()]
    names = [name for _ in (0, 1) for _, name in BAD_VALUES.values()]
    for kinds, after in run(errors_of, cases):
        assert (kinds, after) == (names, [2.0])


@both
def test_a_wrong_type_is_an_error_at_every_party(run):
    values = ["text", torch.ones(2, dtype=torch.complex64), None, {"a": 1}]
    results = run(errors_of, [(1, value) for value in values])
    assert results[1] == (["TypeError"] * 4, [2.0])
    assert not {"nothing", "PeerLost", "PeerTimeout"} & set(results[0][0])
    assert results[0][1] == [2.0]


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
