# SPDX-License-Identifier: MIT
"""What becomes of requests and replicas when replicas fail, with replicas that fail on demand."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch

from cryptensor.config import Settings
from cryptensor.errors import ConfigError, PeerLost, PeerTimeout, RangeError, RemoteError
from cryptensor.serving import attendant
from cryptensor.serving.metrics import Counters
from cryptensor.serving.party_actor import Answer, Roles
from cryptensor.serving.replica import Replica
from cryptensor.serving.requests import Request, RequestQueue

POISON = 13.0
BEYOND = 14.0
PATIENCE = 30.0


class Script:
    """What the next replicas do: `starts` are the errors of their starts, None for a good one."""

    def __init__(self, *starts: Exception | None, answer=lambda rows: rows * 2) -> None:
        self.starts = list(starts)
        self.answer = answer
        self.made: list = []
        self.ended: list[str] = []


@pytest.fixture
def start(monkeypatch):
    """Starts an attendant over scripted replicas; all are stopped at the end."""
    running = []

    def started(script, queue, pad_to=0):
        class Scripted:
            processes = (1, 2)

            def __init__(self, *_):
                script.made.append(self)
                error = script.starts.pop(0) if script.starts else None
                if error is not None:
                    raise error

            def infer(self, rows):
                if (rows == POISON).any():
                    raise PeerLost("a party is gone")
                if (rows == BEYOND).any():
                    raise RangeError("a value is beyond the range")
                return script.answer(rows), [Answer(None, 3, 100, 10), Answer(None, 3, 50, 20)]

            def check(self):
                pass

            def kill(self):
                script.ended.append("killed")

            def close(self):
                script.ended.append("closed")

        monkeypatch.setattr(attendant, "Replica", Scripted)
        counters = Counters()
        running.append(
            attendant.Attendant(
                number=7,
                ray=None,
                settings=Settings(),
                roles=Roles(0, 1),
                models=[],
                example=torch.zeros(2, 1),
                pad_to=pad_to,
                queue=queue,
                counters=counters,
            )
        )
        return running[-1], counters

    yield started
    for one in running:
        one.stop(PATIENCE)


def request(value: float) -> Request:
    return Request(torch.full((1, 1), value))


def test_a_request_that_kills_replicas_goes_alone_and_ends_with_the_cause(start):
    queue = RequestQueue(4, 0.001, 100, alone_after=2)
    good, bad = [request(v) for v in (1.0, 2.0, 3.0)], request(POISON)
    for one in (good[0], bad, *good[1:]):
        queue.put(one)
    script = Script()
    _, counters = start(script, queue)
    with pytest.raises(RemoteError, match="a party is gone") as caught:
        bad.future.result(PATIENCE)
    assert caught.value.kind == "PeerLost"
    assert [one.future.result(PATIENCE).item() for one in good] == [2.0, 4.0, 6.0]
    counted = counters.snapshot(0, 0)
    assert (counted.answered, counted.failed, counted.restarts) == (3, 1, 3)
    assert counted.bytes_online == 150 * counted.batches == 50 * counted.rounds
    assert script.ended == ["killed"] * 3


def test_a_value_beyond_the_range_costs_its_request_only(start):
    queue = RequestQueue(4, 0.001, 100, alone_after=2)
    good, bad = [request(v) for v in (1.0, 2.0, 3.0)], request(BEYOND)
    for one in (good[0], bad, *good[1:]):
        queue.put(one)
    script = Script()
    _, counters = start(script, queue)
    with pytest.raises(RemoteError, match="RangeError: a value is beyond the range"):
        bad.future.result(PATIENCE)
    assert [one.future.result(PATIENCE).item() for one in good] == [2.0, 4.0, 6.0]
    assert counters.snapshot(0, 0).restarts == 0 and len(script.made) == 1


@pytest.mark.parametrize("pad_to", [0, 4])
def test_padded_batches_are_all_of_one_size(start, pad_to):
    seen = []
    script = Script(answer=lambda rows: seen.append(len(rows)) or rows + 1)
    queue = RequestQueue(4, 0.001, 100, alone_after=2)
    start(script, queue, pad_to)
    for value in (1.0, 2.0, 3.0):
        one = request(value)
        queue.put(one)
        assert one.future.result(PATIENCE).tolist() == [[value + 1]]
    assert seen[1:] == [pad_to or 1] * 3


def test_a_first_start_that_fails_is_raised(start):
    one, _ = start(Script(ConfigError("no such thing")), RequestQueue(4, 0.001, 100, 2))
    with pytest.raises(RemoteError, match="replica 7 raised ConfigError: no such thing"):
        one.await_start()
    assert one.health().state == "ended"


def test_an_answer_that_is_not_by_rows_is_refused(start):
    script = Script(answer=lambda rows: rows.sum(0))
    one, _ = start(script, RequestQueue(4, 0.001, 100, 2))
    with pytest.raises(RemoteError, match=r"answers 2 rows by a tensor of shape \(1,\)"):
        one.await_start()
    assert script.ended == ["killed"]


def test_a_later_start_that_fails_is_tried_again(start):
    queue = RequestQueue(4, 0.001, 100, alone_after=2)
    script = Script(None, PeerLost("first"))
    one, _ = start(script, queue)
    one.await_start()
    bad = request(POISON)
    queue.put(bad)
    with pytest.raises(RemoteError):
        bad.future.result(PATIENCE)
    good = request(1.0)
    queue.put(good)
    assert good.future.result(PATIENCE).item() == 2.0
    assert len(script.made) >= 4
    one.stop(PATIENCE)
    assert script.ended[-1] == "closed" and one.health().state == "ended"


class Recorded:
    """An actor that only writes down what it is sent."""

    def __init__(self, log: list, rank: int) -> None:
        self.log, self.rank = log, rank

    def __getattr__(self, name):
        def remote(*arguments):
            self.log.append((self.rank, name, arguments))
            return Answer(torch.zeros(2, 1), 1, 1, 1)

        return SimpleNamespace(remote=remote)


def recording_ray(get, ranks: int) -> SimpleNamespace:
    """Ray, as far as a replica uses it, with `sent` and `killed` for what it was asked."""
    sent, killed = [], []
    actors = iter([Recorded(sent, rank) for rank in range(ranks)])
    kind = SimpleNamespace(remote=lambda *_: next(actors))
    return SimpleNamespace(
        remote=lambda _: SimpleNamespace(options=lambda **_: kind),
        exceptions=SimpleNamespace(GetTimeoutError=TimeoutError),
        get=get,
        kill=lambda actor, no_restart: killed.append(actor.rank),
        sent=sent,
        killed=killed,
    )


def test_rows_and_weights_go_to_their_owners_only():
    ray = recording_ray(lambda references, timeout=None: references, ranks=4)
    models = ["outline", "weights", "outline"]
    roles = Roles(model=1, client=2)
    replica = Replica(ray, Settings(parties=3), roles, models, threading.Event())
    rows = torch.ones(2, 1)
    replica.infer(rows)
    opened = {rank: arguments for rank, name, arguments in ray.sent if name == "open"}
    assert opened == {0: ("outline",), 1: ("weights",), 2: ("outline",)}
    work = {rank: arguments[0] for rank, name, arguments in ray.sent if name == "infer"}
    assert work[2] is rows and work[0] is None and work[1] is None and len(work) == 3
    assert [rank for rank, name, _ in ray.sent if name == "deal"] == [3]


@pytest.mark.parametrize(
    ("unwanted", "seconds", "error"), [(True, 60.0, PeerLost), (False, 0.05, PeerTimeout)]
)
def test_a_replica_that_is_unwanted_or_hangs_ends_while_it_starts(unwanted, seconds, error):
    def get(references, timeout=None):
        raise TimeoutError

    ray, event = recording_ray(get, ranks=3), threading.Event()
    if unwanted:
        event.set()
    with pytest.raises(error, match=r"does not want|did not answer within 0\.05 s"):
        Replica(ray, Settings(setup_timeout=seconds), Roles(0, 1), ["", ""], event)
    assert ray.killed == [0, 1, 2]
