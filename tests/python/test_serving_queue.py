# SPDX-License-Identifier: MIT
"""The queue of a service: which requests make a batch, and what happens to those that do not."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from cryptensor.errors import Error, Overloaded, PeerLost
from cryptensor.serving.requests import Request, RequestQueue

LONG = 60.0


def queue(max_batch=4, max_wait=LONG, limit=10):
    return RequestQueue(max_batch, max_wait, limit, alone_after=2)


def filled(*sizes, **settings):
    made = queue(**settings)
    requests = [Request(torch.zeros(size, 1)) for size in sizes]
    for request in requests:
        made.put(request)
    return made, requests


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([4], [1]),
        ([1, 1, 1, 1], [4]),
        ([3, 2, 2], [1, 2]),
        ([1, 3, 4], [2, 1]),
        ([2, 3, 1], [1, 2]),
    ],
)
def test_a_batch_is_full_when_the_next_request_does_not_fit(sizes, batches):
    waiting, requests = filled(*sizes)
    taken = [waiting.take(LONG) for _ in batches]
    assert [len(batch) for batch in taken] == batches
    assert [request for batch in taken for request in batch] == requests


def test_a_batch_that_is_not_full_waits_for_the_oldest_request():
    waiting, requests = filled(1, 1, max_wait=0.2)
    start = time.monotonic()
    assert waiting.take(LONG) == requests
    assert time.monotonic() - start >= 0.15


def test_nothing_comes_of_an_empty_queue():
    assert queue().take(0.01) == []


def test_a_full_queue_refuses_and_says_why():
    waiting, _ = filled(*[1] * 10)
    with pytest.raises(Overloaded, match=r"10 requests wait already and queue_limit is 10"):
        waiting.put(Request(torch.zeros(1, 1)))
    waiting.take(LONG)
    waiting.put(Request(torch.zeros(1, 1)))


def test_lost_requests_come_first_and_do_not_count_for_the_limit():
    waiting, requests = filled(*[1] * 10)
    batch = waiting.take(LONG)
    for _ in batch:
        waiting.put(Request(torch.zeros(1, 1)))
    waiting.put_back(batch)
    assert len(waiting) == 14
    assert waiting.take(LONG) == batch == requests[:4]


def test_a_request_that_was_lost_twice_goes_alone():
    waiting, requests = filled(1, 1, 1, 1)
    requests[1].attempts = 2
    assert [len(waiting.take(LONG)) for _ in range(2)] == [1, 1]
    waiting.close()
    assert waiting.take(LONG) == requests[2:]


def test_a_cancelled_request_is_left_out():
    waiting, requests = filled(1, 1, 1, 1)
    assert requests[2].future.cancel()
    assert waiting.take(LONG) == [*requests[:2], requests[3]]
    assert not requests[0].future.cancel()


def test_a_closed_queue_gives_out_what_waits_and_takes_nothing():
    waiting, requests = filled(1, 1)
    waiting.close()
    assert waiting.take(LONG) == requests
    assert waiting.take(LONG) == []
    with pytest.raises(Error, match="closed"):
        waiting.put(Request(torch.zeros(1, 1)))


def test_what_is_dropped_ends_with_an_error_also_when_it_comes_back():
    waiting, requests = filled(1, 1, 1, 1, 1)
    batch = waiting.take(LONG)
    assert waiting.drop() == 1
    waiting.put_back(batch)
    for request in requests:
        with pytest.raises(PeerLost, match="closed before"):
            request.future.result(0)


def test_several_threads_take_every_request_once():
    waiting = queue(max_batch=3, max_wait=0.001, limit=1000)
    taken = []

    def take():
        while batch := waiting.take(LONG):
            taken.append(batch)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    requests = [Request(torch.zeros(1, 1)) for _ in range(300)]
    for request in requests:
        waiting.put(request)
    waiting.close()
    for thread in threads:
        thread.join(10)
    found = [id(request) for batch in taken for request in batch]
    assert sorted(found) == sorted(map(id, requests))
    assert all(len(batch) <= 3 for batch in taken)
