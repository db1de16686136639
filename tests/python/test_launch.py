# SPDX-License-Identifier: MIT
"""launch and simulate: results, arguments, progress, errors, and nothing left behind."""

import functools
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch

import cryptensor as ct
from cryptensor import processes
from cryptensor.errors import ConfigError, RemoteError

ROOT = Path(__file__).resolve().parents[2]
RUNNERS = [ct.launch, ct.simulate]
both = pytest.mark.parametrize("run", RUNNERS, ids=["processes", "threads"])


@both
@pytest.mark.parametrize("provider", ["third_party", "first_party"])
def test_a_secret_sum_comes_back_to_every_party(run, provider):
    def body(a, b):
        x, y = ct.cryptensor(a, src=0), ct.cryptensor(b, src=1)
        return (x + y).reveal()

    a, b = torch.tensor([1.0, -2.5]), torch.tensor([0.25, 4.0])
    results = run(body, a, b, provider=provider)
    assert [result.tolist() for result in results] == [[1.25, 1.5]] * 2


@both
def test_results_are_by_party_and_arguments_arrive(run):
    factor = 10

    def body(value, *, offset):
        return ct.rank() * factor + value + offset

    assert run(body, 1, offset=2, parties=3) == [3, 13, 23]


@both
def test_arguments_are_copies(run):
    shared = [0]

    def body(numbers):
        numbers.append(ct.rank())
        return numbers

    assert run(body, shared) == [[0, 0], [0, 1]]
    assert shared == [0]


@both
def test_progress_reaches_the_caller_in_order(run):
    seen = []

    def body():
        for step in range(3):
            ct.progress(step)

    run(body, on_progress=lambda party, step: seen.append((party, step)))
    for party in range(2):
        assert [step for who, step in seen if who == party] == [0, 1, 2]


@both
def test_an_exception_comes_back_with_its_traceback(run):
    def body():
        if ct.rank() == 1:
            raise LookupError("the third drawer is empty")
        return ct.cryptensor(torch.ones(3), src=1).reveal()

    with pytest.raises(RemoteError) as caught:
        run(body)
    error = caught.value
    assert (error.party, error.kind) == (1, "LookupError")
    assert error.message == "the third drawer is empty"
    assert "party 1 raised LookupError: the third drawer is empty" in str(error)
    assert 'raise LookupError("the third drawer is empty")' in error.remote_traceback
    # The echo of the other party may be read in the same moment.
    assert [f.kind for f in error.failures if f.party == 1] == ["LookupError"]


@both
def test_system_exit_is_an_error_too(run):
    with pytest.raises(RemoteError, match="party 0 raised SystemExit"):
        run(lambda: sys.exit(3) if ct.rank() == 0 else None)


@both
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parties": 1}, "parties is 1"),
        ({"provider": "nobody"}, "provider is 'nobody'"),
        ({"precision": 40}, "precision is 40"),
        ({"timeout": -1}, "timeout is -1"),
        ({"truncation": "round"}, "truncation is 'round'"),
        ({"on_progress": 3}, "on_progress is 3"),
    ],
)
def test_bad_settings_are_refused_before_anything_starts(run, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(lambda: None, **settings)


@both
def test_fn_must_be_callable(run):
    with pytest.raises(ConfigError, match="fn is 5; it must be a function"):
        run(5)


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(ConfigError, match="fn cannot be sent"):
        ct.launch(functools.partial(print, threading.Lock()))
    with pytest.raises(ConfigError, match="argument 1 cannot be sent"):
        ct.launch(print, 1, (number for number in range(3)))
    with pytest.raises(ConfigError, match="lock cannot be sent"):
        ct.launch(print, lock=threading.Lock())


def test_a_result_that_cannot_be_pickled_is_an_error_of_its_party():
    with pytest.raises(RemoteError, match="party 0 raised TypeError"):
        ct.launch(lambda: threading.Lock() if ct.rank() == 0 else 1)


def test_large_arguments_and_results_do_not_block():
    def body(numbers):
        return numbers * (ct.rank() + 1)

    numbers = torch.arange(4_000_000, dtype=torch.float64)
    first, second = ct.launch(body, numbers)
    assert torch.equal(first, numbers)
    assert torch.equal(second, 2 * numbers)


def test_threads_are_set_in_every_process():
    assert ct.launch(torch.get_num_threads, threads=1) == [1, 1]


def test_parties_are_processes_of_their_own():
    pids = ct.launch(os.getpid)
    assert len({*pids, os.getpid()}) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_party_may_use_data_loader_workers():
    def body():
        loader = torch.utils.data.DataLoader(list(range(4)), batch_size=2, num_workers=1)
        return [batch.tolist() for batch in loader]

    assert ct.launch(body) == [[[0, 1], [2, 3]]] * 2


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import cryptensor as ct
            class Box:
                def __init__(self, value): self.value = value
            def body(box): return Box(box.value + ct.rank())
            print([box.value for box in ct.launch(body, Box(7))])
            """
        )
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("[7, 8]\n", 0), done.stderr


@both
def test_an_error_in_on_progress_ends_the_run(run):
    def body():
        ct.progress("hello")

    def refuse(party, message):
        raise ZeroDivisionError("in the callback")

    # In threads the callback runs at the party, so its error is the party's.
    with pytest.raises((ZeroDivisionError, RemoteError), match="in the callback"):
        run(body, on_progress=refuse)


def test_the_watch_names_a_process_that_ends_without_a_word():
    with pytest.raises(RemoteError, match="party 1 ended with exit code 7 and without a result"):
        ct.launch(lambda: os._exit(7) if ct.rank() == 1 else time.sleep(30))


def test_failures_end_soon_even_when_the_others_compute():
    start = time.monotonic()
    with pytest.raises(RemoteError, match="party 0 raised ValueError"):
        ct.launch(lambda: time.sleep(60) if ct.rank() == 1 else int("x"))
    assert time.monotonic() - start < 20 + processes._GRACE_SECONDS
