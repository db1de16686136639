# SPDX-License-Identifier: MIT
"""Networks between the parties, as far as they decide how long a protocol takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class Network:
    """A link between any two ranks.

    latency: seconds from sending a small message to its arrival, one way; at least 0.
    bandwidth: bytes per second in each direction; above 0.

    Raises ConfigError for other values.
    """

    latency: float
    bandwidth: float

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

    def seconds(self, rounds: int, traffic: int) -> float:
        """The time that so many rounds and bytes in one direction take, without computation."""
        return rounds * self.latency + traffic / self.bandwidth

    def __str__(self) -> str:
        return f"{1e3 * self.latency:g} ms one way, {8e-6 * self.bandwidth:,.0f} Mbit/s"


NETWORKS = {
    "loopback": Network(latency=25e-6, bandwidth=1.25e9),
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
