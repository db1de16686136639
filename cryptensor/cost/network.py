# SPDX-License-Identifier: MIT
"""Networks between the parties, as far as they decide how long a protocol takes."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import session
from ..errors import ConfigError

_PROBED_BYTES = 4 << 20
_PROBED_MESSAGES = 8


@dataclass(frozen=True, slots=True)
class Network:
    """A link between any two ranks.

    latency: seconds from sending a small message to its arrival, one way; at least 0.
    bandwidth: bytes per second in each direction; above 0.
    cores: what all ranks share where they are processes of one machine, at least 1; None: each rank
      has a machine of its own.

    Raises ConfigError for other values.
    """

    latency: float
    bandwidth: float
    cores: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("latency", "at least 0"), ("bandwidth", "above 0")):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if (
                not number
                or not math.isfinite(value)
                or value < 0
                or (name[0] == "b" and not value)
            ):
                raise ConfigError(f"{name} is {value!r}; it must be a finite number {least}")
        whole = isinstance(self.cores, int) and not isinstance(self.cores, bool)
        if self.cores is not None and not (whole and self.cores >= 1):
            raise ConfigError(f"cores is {self.cores!r}; it must be None or an integer from 1")

    @classmethod
    def measured(cls, rounds: int = 300) -> Network:
        """The links of the current session, from short and long messages among all parties.

        Every party calls it with the same rounds, the number of short messages, at least 1, and
        gets what it measured itself. cores is None: put this machine's number there yourself where
        all ranks share it, dataclasses.replace(net, cores=2). Cost: rounds + 10 rounds, 38 MB to
        each other party. Raises Error without a session, ConfigError for bad rounds.
        """
        engine: Any = session.current().engine
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
            raise ConfigError(f"rounds is {rounds!r}; it must be an integer from 1")
        short = _median_seconds(lambda: engine.synchronize(8), rounds)
        long = _median_seconds(lambda: engine.synchronize(_PROBED_BYTES), _PROBED_MESSAGES)
        bandwidth = (engine.parties - 1) * _PROBED_BYTES / max(long - short, 1e-6)
        return cls(latency=short, bandwidth=bandwidth)

    def __str__(self) -> str:
        speed = f"{1e3 * self.latency:g} ms one way, {8e-6 * self.bandwidth:,.0f} Mbit/s"
        return speed + (f", {self.cores} cores for all" if self.cores else "")


def _median_seconds(work: Callable[[], None], times: int) -> float:
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


# Loopback as Gloo brings it to two processes; Network.measured() knows this machine better.
NETWORKS = {
    "loopback": Network(latency=50e-6, bandwidth=1.25e9, cores=len(os.sched_getaffinity(0))),
    "lan": Network(latency=0.25e-3, bandwidth=125e6),
    "wan": Network(latency=40e-3, bandwidth=12.5e6),
}


def network_of(net: str | Network) -> Network:
    """The network of a name, or the one that was given. Raises ConfigError for anything else."""
    if isinstance(net, Network):
        return net
    if isinstance(net, str) and net in NETWORKS:
        return NETWORKS[net]
    names = ", ".join(map(repr, NETWORKS))
    raise ConfigError(f"net is {net!r}; it must be one of {names}, or a Network")
