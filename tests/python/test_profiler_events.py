# SPDX-License-Identifier: MIT
"""torch.profiler sees every operation, and the waiting inside it; neither shows a value."""

import json
import threading

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import cryptensor as ct

SECRET = 4242.125
ENCODED = round(SECRET * 2**16)
WAITS = {"cryptensor::wait", "cryptensor::wait_for_dealer", "cryptensor::send"}
# The profiler is one for all threads of a process.
_alone = threading.Lock()


def program(who, path):
    """The trace of party `who`, and the names of the operations that its statistics have."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight.fill_(SECRET)
        secret = ct.encrypt(model, src=0)
        x = ct.cryptensor(torch.full((3, 4), SECRET), src=1)
        ct.reset_stats()
        if ct.rank() != who:
            secret(x).reveal()
            return None
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
            secret(x).reveal()
    found.export_chrome_trace(str(path))
    return [row.operation for row in ct.stats().operations], found.key_averages().table()


@pytest.fixture(scope="module", params=[0, 1])
def traced(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    with _alone:
        names, table = ct.simulate(program, request.param, path)[request.param]
    events = [e for e in json.loads(path.read_text())["traceEvents"] if e.get("ph") == "X"]
    return request.param, names, table, events, path.read_text()


def inside(inner, outer):
    begins = outer["ts"] <= inner["ts"]
    return begins and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]


def test_every_operation_is_an_event(traced):
    _, names, table, events, _ = traced
    seen = {event["name"] for event in events if event["cat"] == "cpu_op"}
    assert {"relu", "matmul", "reveal"} <= set(names)
    assert {f"cryptensor::{name}" for name in names} <= seen
    assert "cryptensor::relu" in table


def test_waiting_is_apart_and_inside_the_operation_that_waits(traced):
    party, _, _, events, _ = traced
    operations = [e for e in events if e["name"].startswith("cryptensor::")]
    waits = [e for e in operations if e["name"] in WAITS]
    operations = [e for e in operations if e["name"] not in WAITS]
    assert {"cryptensor::wait", "cryptensor::send"} <= {e["name"] for e in waits}
    # Only the last party gets corrections.
    dealt = any(e["name"] == "cryptensor::wait_for_dealer" for e in waits)
    assert dealt == (party == 1)
    assert all(any(inside(wait, operation) for operation in operations) for wait in waits)
    relu = next(e for e in operations if e["name"] == "cryptensor::relu")
    assert any(inside(wait, relu) for wait in waits)


def test_a_trace_has_no_value(traced):
    *_, text = traced
    assert str(ENCODED) not in text
    assert str(SECRET) not in text


def test_without_a_profiler_nothing_is_kept():
    """Records begin and end in pairs, also where a profiler starts or ends within an operation."""

    def work():
        x = ct.cryptensor(torch.ones(2), src=0)
        x.reveal()
        if ct.rank() == 0:
            with profile(activities=[ProfilerActivity.CPU]) as found:
                x.reveal()
        else:
            x.reveal()
        x.reveal()
        if ct.rank() == 0:
            return sum(e.count for e in found.key_averages() if e.key == "cryptensor::reveal")
        return None

    with _alone:
        assert ct.simulate(work)[0] == 1
