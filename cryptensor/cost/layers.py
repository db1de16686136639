# SPDX-License-Identifier: MIT
"""What one module costs all ranks together, and how long it takes on a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .counting import Counts, Plan, Reading
from .network import Network


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one module and the modules inside it cost, over all its calls.

    name: the module's path, "" for the model itself; "(inputs)" and "(results)" are the entry of
    the inputs and the opening of the results, "(step)" is what a step does outside of the model.
    sent, received: bytes between the parties, by party. dealer_bytes: from the dealer to the last
    party, the only one that it corrects, in answer to dealer_requests. dealer_seconds: the dealer's
    own work. compute_seconds: by party.

    seconds is the time on the report's network: compute of the busier party, latency_seconds for
    the rounds, traffic_seconds for the bytes between parties, and wait_seconds for the dealer's
    answers or, in the total, for a dealer that is behind and for cores that all ranks share.
    own_seconds: those outside of the modules inside.
    """

    name: str
    type: str
    calls: int
    rounds: int
    sent: tuple[int, ...]
    received: tuple[int, ...]
    dealer_bytes: int
    dealer_requests: int
    dealer_seconds: float
    compute_seconds: tuple[float, ...]
    latency_seconds: float
    traffic_seconds: float
    wait_seconds: float
    seconds: float
    own_seconds: float

    @property
    def bytes(self) -> int:
        """Sent by party 0 to the other parties."""
        return self.sent[0]

    @property
    def bytes_received(self) -> int:
        """Received by party 0 from the other parties."""
        return self.received[0]


@dataclass(frozen=True, slots=True)
class Layers:
    """The rows of an inference in the order in which the modules ran, their sum, the encryption."""

    rows: tuple[LayerCost, ...]
    total: LayerCost
    setup: LayerCost | None


def timed(counts: Sequence[Counts], plan: Plan, network: Network, stored: bool) -> Layers:
    """What the parties counted, by rank, as layers on a network.

    stored: the dealer's work was done before. Else a first inference waits for each correction, and
    a later one has a dealer that runs ahead of it.
    """
    waits = not (stored or plan.repeated)

    def layer(
        name: str, kind: str, calls: int, whole: list[Reading], own: list[Reading]
    ) -> LayerCost:
        parts = _parts(whole, network, waits)
        return _layer(name, kind, calls, whole, parts, sum(_parts(own, network, waits)))

    rows = []
    for name, (kind, calls, _, _) in counts[0].rows.items():
        found = [party.rows[name] for party in counts]
        rows.append(layer(name, kind, calls, [r.whole for r in found], [r.own for r in found]))
    setup = None
    if counts[0].setup is not None:
        spent = [party.setup or Reading() for party in counts]
        setup = layer("encrypt(model)", "", 1, spent, spent)
    whole = [party.total for party in counts]
    compute, latency, traffic, wait = _parts(whole, network, waits)
    work = sum(r.seconds for r in whole)
    bounds = [0.0]
    if plan.repeated and not stored:  # ahead as it may be, the dealer deals for every inference
        last = whole[-1]
        work += last.dealer_seconds
        bounds.append(last.dealer_seconds)
        # The corrections come in beside the rest, during rounds that leave the link idle.
        bounds.append((last.bytes_received + last.dealer_bytes) / network.bandwidth)
    if network.cores:
        bounds.append(work / network.cores)
    wait += max(0.0, max(bounds) - compute - latency - traffic - wait)
    parts = compute, latency, traffic, wait
    return Layers(tuple(rows), _layer("total", "", 1, whole, parts, sum(parts)), setup)


def _parts(
    parties: list[Reading], network: Network, waits: bool
) -> tuple[float, float, float, float]:
    """Seconds of computation, latency, traffic, and waiting for the dealer."""
    last = parties[-1]
    # Both directions of a link work at once.
    traffic = max(max(r.bytes_sent, r.bytes_received) for r in parties)
    compute = max(r.seconds for r in parties)
    answers = 2 * network.latency * last.dealer_requests + last.dealer_bytes / network.bandwidth
    wait = last.dealer_seconds + answers if waits else 0.0
    return compute, last.rounds * network.latency, traffic / network.bandwidth, wait


def _layer(
    name: str,
    kind: str,
    calls: int,
    whole: list[Reading],
    parts: tuple[float, float, float, float],
    own_seconds: float,
) -> LayerCost:
    _, latency, traffic, wait = parts
    last = whole[-1]
    return LayerCost(
        name=name,
        type=kind,
        calls=calls,
        rounds=last.rounds,
        sent=tuple(r.bytes_sent for r in whole),
        received=tuple(r.bytes_received for r in whole),
        dealer_bytes=last.dealer_bytes,
        dealer_requests=last.dealer_requests,
        dealer_seconds=last.dealer_seconds,
        compute_seconds=tuple(r.seconds for r in whole),
        latency_seconds=latency,
        traffic_seconds=traffic,
        wait_seconds=wait,
        seconds=sum(parts),
        own_seconds=own_seconds,
    )
