# SPDX-License-Identifier: MIT
"""ResNet-18 and a BERT-base layer over links of 40 ms one way and 100 Mbit/s, by the channel.

Two parties and a dealer in processes of their own; every link between any two of them has that
delay and that bandwidth. Sessions with network="wan" (fewest rounds) and network="lan" (fewest
bytes): the second may well be faster where the link is slow, or where the dealer's bytes are what
an inference waits for. Beside the measured seconds of an inference stand
those that ct.cost() predicts, and the rounds and bytes of CrypTen 0.4.1 for the same models and
sizes, counted in a run of its own with its trusted first party.

    python benchmarks/wan.py [--repetitions 3] [--json FILE]
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import models
import report
import torch

import cryptensor as ct
from cryptensor import _C, session

LATENCY, BANDWIDTH = 0.04, 12.5e6
RANKS = 3
# Rounds, and bytes that a party sends, in MB.
CRYPTEN = {"ResNet-18, 3x32x32": (554, 469.0), "BERT-base layer, sequence 128": (188, 746.0)}


def measure(name: str, repetitions: int) -> dict[str, Any]:
    """Runs at every party."""
    torch.manual_seed(0)
    work = models.WORK[name]
    model, inputs = work.build()
    model.eval()
    with torch.no_grad():
        secret_model = ct.encrypt(model, src=0)

        def infer(dst: int | None = 1) -> Any:
            secret = {key: ct.cryptensor(value, src=1) for key, value in inputs.items()}
            return work.call(secret_model, secret).reveal(dst=dst)

        infer()  # opens the weights under their masks
        ct.reset_stats()
        found = infer(None)
        total = ct.stats().total()
        seconds = []
        for _ in range(repetitions):
            start = time.perf_counter()
            infer()
            seconds.append(time.perf_counter() - start)
        doubled = {key: value.double() for key, value in inputs.items()}
        expected = work.call(model.double(), doubled)
    return {
        "rounds": total.rounds,
        "sent": total.bytes_sent,
        "dealt": total.dealer_bytes,
        "seconds": statistics.median(seconds),
        "error": (found - expected).abs().max().item(),
    }


def serve(name: str, network: str, repetitions: int) -> None:
    """One rank; each party prints what it measured."""
    plain = session.open_session

    def delayed(transport: Any, *rest: Any, **named: Any) -> Any:
        slow = _C.delay_transport(transport, LATENCY, BANDWIDTH)
        return plain(slow, *rest, **named)

    session.open_session = delayed
    ct.init(threads=1, timeout=300.0, setup_timeout=60.0, network=network)
    print(json.dumps(measure(name, repetitions)))
    ct.shutdown()


def run(name: str, network: str, repetitions: int) -> list[dict[str, Any]]:
    """What the parties measured."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    meeting = {"WORLD_SIZE": RANKS, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = {**os.environ, **{key: str(value) for key, value in meeting.items()}}
    command = [sys.executable, __file__, "--rank-of", name, "--network", network]
    command += ["--repetitions", str(repetitions)]
    ranks = [
        subprocess.Popen(
            command, env={**environment, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(RANKS)
    ]
    try:
        outputs = [rank.communicate(timeout=900)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    if any(rank.returncode for rank in ranks):
        raise RuntimeError(f"{name}: a rank failed")
    return [json.loads(output) for output in outputs[:-1]]


def predicted(name: str, network: str) -> float:
    torch.manual_seed(0)
    model, inputs = models.WORK[name].build()
    net = ct.Network(latency=LATENCY, bandwidth=BANDWIDTH)
    with torch.no_grad():
        found = ct.cost(
            model.eval(), *inputs.values(), net=net, network=network, repeated=True, compare=False
        )
    return found.seconds


def row(name: str, network: str, repetitions: int) -> dict[str, Any]:
    first, last = run(name, network, repetitions)
    rounds, megabytes = CRYPTEN[name]
    sent = max(first["sent"], last["sent"]) / 1e6
    foreseen = predicted(name, network)
    return {
        "work": name.partition(",")[0],
        "network": network,
        "rounds": first["rounds"],
        "CrypTen's": rounds,
        "part": first["rounds"] / rounds,
        "MB sent": sent,
        "its MB": megabytes,
        "part of it": sent / megabytes,
        "MB dealt": last["dealt"] / 1e6,
        "s": last["seconds"],
        "foreseen s": foreseen,
        "ratio": foreseen / last["seconds"],
        "error": first["error"],
    }


def main() -> int:
    parser = report.parser(__doc__.splitlines()[0], repetitions=3)
    parser.add_argument("--rank-of", help="run as one rank of this work")
    parser.add_argument("--network", help="of that rank's session")
    options = parser.parse_args()
    if options.rank_of:
        serve(options.rank_of, options.network, options.repetitions)
        return 0
    rows = [row(name, net, options.repetitions) for name in CRYPTEN for net in ("wan", "lan")]
    report.show("40 ms one way, 100 Mbit/s", rows, options.json)
    few = [r for r in rows if r["network"] == "wan"]
    return int(any(r["part"] > 1 / 3 or r["part of it"] > 1 / 6 for r in few))


if __name__ == "__main__":
    sys.exit(main())
