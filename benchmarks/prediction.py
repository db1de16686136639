# SPDX-License-Identifier: MIT
"""Seconds that ct.cost() predicts beside those measured, for models and networks.

Two parties and a dealer in processes of their own, on random weights and inputs. Every session
measures its links first (ct.Network.measured); the prediction is made of these and of this
machine's cores, in this process, while no other one runs. "first" is an inference of a new session,
"later" the median of those that follow, with a dealer that runs ahead. Networks:

  loopback    one machine
  100 Mbit/s  a network namespace for each rank, veth links limited by tbf; needs root
  wan         the same with 40 ms one way added by the channel

    python benchmarks/prediction.py [--repetitions 9] [--works A,C] [--networks loopback,wan]
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import models
import report
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

import cryptensor as ct
from cryptensor import _C, session

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import networks

BOUND = 0.3
RANKS = 3


@dataclass(frozen=True, slots=True)
class Link:
    """How the ranks are connected: seconds one way, and Mbit/s where the links are limited."""

    delay: float = 0.0
    megabits: int | None = None


LINKS = {"loopback": Link(), "100 Mbit/s": Link(megabits=100), "wan": Link(0.04, 100)}
Work = Callable[[], tuple[nn.Module, torch.Tensor]]


def _network(name: str, batch: int) -> Work:
    return lambda: (networks.build(name), torch.rand(batch, 1, 28, 28))


def _model(name: str) -> Work:
    def build() -> tuple[nn.Module, torch.Tensor]:
        model, inputs = models.WORK[name].build()
        (example,) = inputs.values()
        return model, example

    return build


WORKS: dict[str, Work] = {
    **{f"{name}{batch}": _network(name, batch) for name in networks.NAMES for batch in (1, 100)},
    "ResNet-18": _model("ResNet-18, 3x32x32"),
    "BERT": _model("BERT-base layer, sequence 128"),
    "GPT-2": _model("GPT-2 decoding, 1 token"),
}


def built(work: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model, example = WORKS[work]()
    return model.eval(), example


def measure(work: str, repetitions: int, probes: int) -> dict[str, Any]:
    """Runs at every party."""
    links = ct.Network.measured(rounds=probes)
    model, example = built(work)
    with torch.no_grad():
        secret_model = ct.encrypt(model, src=0)

        def infer() -> float:
            start = time.perf_counter()
            results = secret_model(ct.cryptensor(example, src=1))
            for x in tree_leaves(results):
                if isinstance(x, ct.CrypTensor):
                    x.reveal()
            return time.perf_counter() - start

        seconds = [infer() for _ in range(repetitions + 2)]
    later = sorted(seconds[2:])[repetitions // 2]
    return {"links": asdict(links), "first": seconds[0], "later": later}


def serve(work: str, repetitions: int, delay: float) -> None:
    """One rank; party 1 prints what it measured."""
    plain = session.open_session

    def delayed(transport: Any, *rest: Any, **named: Any) -> Any:
        return plain(_C.delay_transport(transport, delay), *rest, **named)

    if delay:
        session.open_session = delayed
    ct.init(threads=1, insecure_ok=True, timeout=300.0, setup_timeout=60.0)
    found = measure(work, repetitions, 300 if delay < 1e-3 else 20)
    if ct.rank() == 1:
        print(json.dumps(found))
    ct.shutdown()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


@contextlib.contextmanager
def hosts(link: Link) -> Iterator[tuple[list[list[str]], str]]:
    """A prefix for the command of each rank, and the address of rank 0."""
    if link.megabits is None:
        yield [[] for _ in range(RANKS)], "127.0.0.1"
        return
    names = [f"ct{os.getpid()}-{rank}" for rank in range(RANKS)]
    switch = f"ct{os.getpid()}-switch"
    try:
        for name in (switch, *names):
            _run("ip", "netns", "add", name)
        _run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "bridge", "up")
        limit = ("tbf", "rate", f"{link.megabits}mbit", "burst", "64kb", "latency", "100ms")
        for rank, name in enumerate(names):
            port = f"port{rank}"
            ends = ("peer", "name", port, "netns", switch)
            _run("ip", "-n", name, "link", "add", "eth", "type", "veth", *ends)
            _run("ip", "-n", switch, "link", "set", port, "master", "bridge", "up")
            _run("ip", "-n", name, "addr", "add", f"10.77.0.{rank + 1}/24", "dev", "eth")
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "link", "set", "eth", "up")
            for space, device in ((name, "eth"), (switch, port)):  # out of the host, and into it
                _run("tc", "-n", space, "qdisc", "add", "dev", device, "root", *limit)
        yield [["ip", "netns", "exec", name] for name in names], "10.77.0.1"
    finally:
        for name in (switch, *names):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def measured(work: str, link: Link, repetitions: int) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "WORLD_SIZE": str(RANKS), "MASTER_PORT": str(port)}
    with hosts(link) as (prefixes, address):
        environment["MASTER_ADDR"] = address
        command = [sys.executable, __file__, "--rank-of", work, "--delay", str(link.delay)]
        command += ["--repetitions", str(repetitions)]
        ranks = [
            subprocess.Popen(
                [*prefix, *command],
                env={**environment, "RANK": str(rank)},
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank, prefix in enumerate(prefixes)
        ]
        try:
            outputs = [rank.communicate(timeout=600)[0] for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
        if any(rank.returncode for rank in ranks):
            raise RuntimeError(f"{work}: a rank failed")
        return json.loads(outputs[1])


def compare(work: str, name: str, repetitions: int) -> list[dict[str, Any]]:
    found = measured(work, LINKS[name], repetitions)
    network = ct.Network(**found["links"])
    network = replace(network, cores=len(os.sched_getaffinity(0)))
    rows = []
    for which in ("first", "later"):
        model, example = built(work)
        with torch.no_grad():
            predicted = ct.cost(
                model,
                example,
                net=network,
                secret_integers=not example.is_floating_point(),
                repeated=which == "later",
                compare=False,
            )
        rows.append(
            {
                "work": work,
                "network": name,
                "inference": which,
                "rounds": predicted.rounds,
                "MB": max(predicted.total.sent) / 1e6,
                "MB dealt": predicted.dealer_bytes / 1e6,
                "latency us": 1e6 * network.latency,
                "MB/s": network.bandwidth / 1e6,
                "predicted ms": 1e3 * predicted.seconds,
                "measured ms": 1e3 * found[which],
                "ratio": predicted.seconds / found[which],
                "dominates": next(iter(predicted.dominates)),
            }
        )
    return rows


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], repetitions=9)
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--networks", default=",".join(LINKS))
    parser.add_argument("--rank-of", help="run as one rank of this work")
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    if options.rank_of:
        serve(options.rank_of, options.repetitions, options.delay)
        return
    rows = []
    for name in options.networks.split(","):
        if LINKS[name].megabits and os.geteuid() != 0:
            print(f"{name}: skipped, network namespaces need root", file=sys.stderr)
            continue
        for work in options.works.split(","):
            rows += compare(work, name, options.repetitions)
            print(rows[-2:], file=sys.stderr)
    report.show("Predicted and measured seconds", rows, options.json)
    good = sum(abs(row["ratio"] - 1) <= BOUND for row in rows)
    print(f"{good} of {len(rows)} within {100 * BOUND:.0f} %")


if __name__ == "__main__":
    main()
