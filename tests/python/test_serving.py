# SPDX-License-Identifier: MIT
"""The service over Ray: right answers, also while processes die, and what it says of itself."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import cryptensor as ct
from cryptensor.errors import ConfigError, Error, RangeError, RemoteError
from cryptensor.offline import deal
from cryptensor.serving import plan_of_service
from cryptensor.serving.service import _outline

# Asked for without importing it: a cluster of ct.serve needs Ray to start with a token.
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.timeout(600),
]

ATOL = 2e-3
PATIENCE = 300.0


def build() -> torch.nn.Module:
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
    ).eval()


@pytest.fixture(scope="module")
def service():
    with ct.serve(
        build(),
        torch.zeros(2, 6),
        replicas=2,
        max_batch=8,
        max_wait=0.01,
        checked=True,
        timeout=60.0,
        setup_timeout=PATIENCE,
    ) as running:
        yield running


def answered(service, rows: list[torch.Tensor]) -> list[torch.Tensor]:
    """The answers to many requests that are submitted by several threads at once."""
    with ThreadPoolExecutor(4) as pool:
        futures = list(pool.map(service.submit, rows))
    return [future.result(PATIENCE) for future in futures]


def check(rows: list[torch.Tensor], answers: list[torch.Tensor]) -> None:
    model = build()
    for row, answer in zip(rows, answers, strict=True):
        assert answer.shape == (len(row), 3)
        assert torch.allclose(model(row), answer, atol=ATOL)


def requests(count: int) -> list[torch.Tensor]:
    return [torch.randn(1 + number % 3, 6) for number in range(count)]


def until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_requests_are_answered_in_batches(service):
    rows = requests(60)
    before = service.metrics()
    check(rows, answered(service, rows))
    after = service.metrics()
    count = sum(len(row) for row in rows)
    assert after.rows - before.rows == count
    assert count / 8 <= after.batches - before.batches < 60
    assert after.answered - before.answered == after.requests - before.requests == 60


def test_what_was_dealt_before_serves_replicas_from_lots_of_their_own(service, tmp_path):
    model, example = build(), torch.zeros(1, 6)
    plan = plan_of_service(model, example, max_batch=4)
    deal(plan, tmp_path / "store", 24, steps_per_lot=6)
    stored = {"provider": "stored", "store": str(tmp_path / "store")}
    with pytest.raises(ConfigError, match="pad is False"):
        ct.serve(model, example, max_batch=4, **stored)
    with ct.serve(
        model, example, replicas=2, max_batch=4, pad=True, setup_timeout=PATIENCE, **stored
    ) as other:
        before = other.metrics()
        assert before.batches_left == 24 - 2 * 6  # a lot for each replica
        rows = [torch.randn(4, 6) for _ in range(14)]
        check(rows, answered(other, rows))
        after = other.metrics()
        # 14 batches and 2 examples do not fit two lots.
        assert after.batches_left < before.batches_left
        assert f"cryptensor_batches_left {after.batches_left}.0" in after.to_prometheus()
    assert service.metrics().batches_left is None


def test_a_value_beyond_the_range_fails_its_request_and_costs_no_replica(service):
    before = [(replica.restarts, replica.processes) for replica in service.health()]
    rows = requests(10)
    futures = [service.submit(row) for row in rows]
    # Can be encoded, but its products cannot.
    bad = service.submit(torch.full((1, 6), 2.0**44))
    futures += [service.submit(row) for row in rows]
    with pytest.raises(RemoteError) as caught:
        bad.result(PATIENCE)
    assert caught.value.kind == "RangeError"
    check(rows + rows, [future.result(PATIENCE) for future in futures])
    assert before == [(replica.restarts, replica.processes) for replica in service.health()]


def test_a_dead_party_costs_no_request(service):
    victim, failed = service.health()[0], service.metrics().failed
    rows = requests(120)
    futures = [service.submit(row) for row in rows[:60]]
    os.kill(victim.processes[1], signal.SIGKILL)
    futures += [service.submit(row) for row in rows[60:]]
    check(rows, [future.result(PATIENCE) for future in futures])
    until(lambda: service.health()[0].restarts == victim.restarts + 1)
    until(lambda: service.metrics().ready == 2)
    new = service.health()[0]
    assert not set(new.processes) & set(victim.processes) and len(new.processes) == 3
    # The others of the group have nothing left to do and must be gone as well.
    until(lambda: not any(alive(process) for process in victim.processes))
    more = requests(20)
    check(more, answered(service, more))
    assert service.metrics().failed == failed


def alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([[0.0] * 6], ConfigError, "rows is of type list"),
        (torch.zeros(6), ConfigError, r"shape \(6,\); it must be .*\(rows, 6\)"),
        (torch.zeros(2, 5), ConfigError, r"shape \(2, 5\)"),
        (torch.zeros(2, 6, dtype=torch.float64), ConfigError, "torch.float64"),
        (torch.zeros(0, 6), ConfigError, "has 0 rows; it must have 1 to 8"),
        (torch.zeros(9, 6), ConfigError, "has 9 rows"),
        (torch.full((1, 6), float("nan")), RangeError, "NaN"),
        (torch.full((1, 6), 2.0**46), RangeError, "beyond the range"),
    ],
)
def test_a_bad_request_is_refused_at_the_door(service, rows, error, message):
    before = service.metrics()
    with pytest.raises(error, match=message):
        service.submit(rows)
    assert service.metrics().requests == before.requests


def test_metrics_say_what_was_done(service):
    from prometheus_client.parser import text_string_to_metric_families

    rows = requests(3)
    answered(service, rows)
    metrics = service.metrics()
    # Reading the shape, two products and a ReLU with its rounds, in every batch alike.
    assert metrics.rounds % metrics.batches == 0 and metrics.rounds > metrics.batches
    assert metrics.bytes_online > 0 and metrics.bytes_dealer > 0
    assert 0 < metrics.latency[50] <= metrics.latency[90] <= metrics.latency[99]
    assert json.loads(json.dumps(metrics.to_dict()))["answered"] == metrics.answered
    families = text_string_to_metric_families(metrics.to_prometheus())
    samples = {sample.name: sample.value for family in families for sample in family.samples}
    assert samples["cryptensor_answered_total"] == metrics.answered
    assert samples["cryptensor_ready"] == metrics.ready
    assert samples["cryptensor_latency_seconds"] == pytest.approx(metrics.latency[99])


class Sneaky(torch.nn.Module):
    """Asks for a secret in the clear, which is refused while the replica starts."""

    def forward(self, x):
        return x * x.sum().item()


def test_a_model_that_does_not_run_on_secrets_is_refused_at_the_start(service):
    with pytest.raises(RemoteError, match="SecretLeakError"):
        ct.serve(
            Sneaky().eval(),
            torch.zeros(2, 6),
            replicas=1,
            provider="first_party",
            setup_timeout=PATIENCE,
        )
    rows = requests(1)
    check(rows, answered(service, rows))


def test_replicas_come_and_go(service):
    gone = service.health()[1].processes
    service.scale(1)
    assert len(service.health()) == 1
    until(lambda: not any(alive(process) for process in gone))
    rows = requests(10)
    check(rows, answered(service, rows))
    with pytest.raises(ConfigError, match="replicas is 0"):
        service.scale(0)


def test_a_dead_dealer_is_noticed_without_a_request(service):
    victim, failed = service.health()[0], service.metrics().failed
    os.kill(victim.processes[2], signal.SIGKILL)
    until(lambda: service.health()[0].restarts == victim.restarts + 1)
    # Nobody is ready: requests wait for the new replica.
    rows = requests(5)
    check(rows, answered(service, rows))
    assert service.metrics().failed == failed


def test_a_closed_service_has_answered_and_left_nothing(service):
    """The last test of the module."""
    processes = [process for replica in service.health() for process in replica.processes]
    rows = requests(30)
    futures = [service.submit(row) for row in rows]
    service.close()
    check(rows, [future.result(0) for future in futures])
    assert not any(alive(process) for process in processes)
    with pytest.raises(Error, match="closed"):
        service.submit(rows[0])
    with pytest.raises(Error, match="closed"):
        service.scale(2)
    service.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": torch.zeros(1)}, "model is of type Tensor"),
        ({"model": torch.nn.Linear(2, 2)}, "training mode"),
        ({"example": torch.tensor(1.0)}, "example must be"),
        ({"example": torch.zeros(33, 6)}, "33 rows; it must have 1 to 32"),
        ({"replicas": 0}, "replicas is 0"),
        ({"max_batch": 1.5}, "max_batch is 1.5"),
        ({"max_wait": -1}, "max_wait is -1"),
        ({"queue_limit": True}, "queue_limit is True"),
        ({"pad": 1}, "pad is 1; it must be True or False"),
        ({"client_party": 2}, "client_party is 2; it must be an integer from 0 to 1"),
        ({"provider": "nobody"}, "provider is 'nobody'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ct.serve(**{"model": build(), "example": torch.zeros(2, 6), **arguments})


def test_other_parties_get_no_weights():
    model = build()
    model.register_buffer("positions", torch.arange(3))
    outline = _outline(model)
    assert all(not tensor.any() for tensor in outline.parameters())
    assert not outline[1].running_mean.any() and torch.equal(outline.positions, model.positions)
    assert model[0].weight.any()
