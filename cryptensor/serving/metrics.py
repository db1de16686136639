# SPDX-License-Identifier: MIT
"""What a service did so far: counters, percentiles of the latency, and Prometheus text."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

PERCENTILES = (50, 90, 99)
_LATEST = 4_096
_COUNTERS = {
    "requests": "Requests taken into the queue",
    "answered": "Requests that were answered",
    "failed": "Requests that ended with an error",
    "refused": "Requests refused because the queue was full",
    "retried": "Times that a request was tried again after its replica was lost",
    "batches": "Batches computed",
    "rows": "Rows computed",
    "rounds": "Rounds of the protocol, of all batches",
    "bytes_online": "Bytes that the parties sent to each other",
    "bytes_dealer": "Bytes that the dealers sent",
    "restarts": "Replicas that were lost and started again",
}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counters of a service since its start, and its state now. Holds no secret.

    latency: seconds from submit() to the answer, percentiles 50, 90 and 99 over the latest 4,096
      answers; empty before the first. bytes_online is the sum over the parties, rounds and rows
      that of all batches. waiting: requests in the queue; ready: replicas that can compute.
    batches_left: with provider="stored", of lots that no replica has taken; else None.
    """

    requests: int
    answered: int
    failed: int
    refused: int
    retried: int
    batches: int
    rows: int
    rounds: int
    bytes_online: int
    bytes_dealer: int
    restarts: int
    waiting: int
    ready: int
    latency: dict[int, float]
    batches_left: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return asdict(self)

    def to_prometheus(self) -> str:
        """The same in Prometheus' text format. Needs prometheus_client."""
        try:
            from prometheus_client import CollectorRegistry, generate_latest
        except ImportError as error:
            raise ImportError(
                "to_prometheus() needs prometheus_client: pip install 'cryptensor[serve]'"
            ) from error

        registry = CollectorRegistry()
        registry.register(_Collector(self))
        return generate_latest(registry).decode()


class _Collector:
    """Hands one snapshot to prometheus_client."""

    def __init__(self, snapshot: Metrics) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, meaning in _COUNTERS.items():
            value = getattr(self._snapshot, name)
            yield CounterMetricFamily(f"cryptensor_{name}", meaning, value=value)
        waiting, ready = self._snapshot.waiting, self._snapshot.ready
        yield GaugeMetricFamily("cryptensor_waiting", "Requests in the queue", value=waiting)
        yield GaugeMetricFamily("cryptensor_ready", "Replicas that can compute", value=ready)
        if self._snapshot.batches_left is not None:
            yield GaugeMetricFamily(
                "cryptensor_batches_left",
                "Batches of which the correlations are dealt and not taken",
                value=self._snapshot.batches_left,
            )
        latency = GaugeMetricFamily(
            "cryptensor_latency_seconds", "From submit to answer", labels=["quantile"]
        )
        for percentile, seconds in self._snapshot.latency.items():
            latency.add_metric([f"{percentile / 100:g}"], seconds)
        yield latency


class Counters:
    """What the threads of a service count."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._latencies: deque[float] = deque(maxlen=_LATEST)
        self._lock = threading.Lock()

    def add(self, **counts: int) -> None:
        with self._lock:
            for name, count in counts.items():
                self._counts[name] += count

    def answered(self, seconds: float) -> None:
        with self._lock:
            self._counts["answered"] += 1
            self._latencies.append(seconds)

    def snapshot(self, waiting: int, ready: int, batches_left: int | None = None) -> Metrics:
        with self._lock:
            counts, latencies = dict(self._counts), list(self._latencies)
        found = np.percentile(latencies, PERCENTILES).tolist() if latencies else []
        latency = dict(zip(PERCENTILES, found, strict=False))
        state: dict[str, Any] = {"waiting": waiting, "ready": ready, "batches_left": batches_left}
        return Metrics(**counts, **state, latency=latency)
