# SPDX-License-Identifier: MIT
"""Throughput of network C with several workers per party, measured here and on paper for 64.

Each worker classifies its own batches: all start together, and images a second count from the
common start to the last one's end. The model on paper is for one batch of b images at each of W
workers, from what one worker was measured to need for it:

    images/s(W) = min( W b / (c + r L + s / B)     each worker by itself
                       b B / s                     the link between two parties, which they share
                       b D / d                     the cores of the dealers, if they deal live
                       b B / q                     the link of the dealers, if they deal live )

    c  seconds of computation at the busier party     L  seconds one way, of --net
    r  rounds                                         B  bytes a second, of --net
    s  bytes that one party sends                     d  seconds of computation at the dealer
    q  bytes that the dealer sends                    D  --dealer-cores

It gives each worker a core of its own and asks for nothing that several workers could wait for but
what is named. Where a bound other than the first is the least, more workers do not help.

    python benchmarks/workers.py [--network C] [--batches 1 10 100] [--workers 1 2 4]
    python benchmarks/workers.py --model [--net lan] [--mbits 10000] [--dealer-cores 8]
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import report
import torch
import torch.distributed as dist
from cryptensor.check.network import NETWORKS, network_of
from rich.console import Console

import cryptensor as ct

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import networks

ON_PAPER = (1, 2, 4, 8, 16, 32, 64)
WARM_UPS = 4


@dataclass(frozen=True, slots=True)
class Work:
    """What one batch needs at one worker."""

    batch: int
    compute: float
    rounds: int
    sent: int
    dealer_compute: float
    dealt: int


# ---- what the parties run ----------------------------------------------------------------------


def classify(name: str, batch: int, repetitions: int) -> dict:
    """Runs at every worker: start, end and cost of its batches."""
    mesh = ct.mesh()
    torch.manual_seed(0)
    model = networks.build(name).eval()
    if mesh.party == 0:
        mesh.broadcast(model)
    images = torch.rand(batch, 1, 28, 28) if mesh.party == 1 else None
    with torch.no_grad():
        secret_model = ct.encrypt(model, src=0)

        def infer() -> None:
            secret_model(ct.cryptensor(images, src=1)).reveal(dst=1)

        for _ in range(WARM_UPS):
            infer()
        if mesh.workers > 1:
            dist.barrier()
        ct.reset_stats()
        start, busy = time.monotonic(), time.process_time()
        for _ in range(repetitions):
            infer()
        end, busy = time.monotonic(), time.process_time() - busy
    total = ct.stats().total()
    return {
        "start": start,
        "end": end,
        "compute": busy / repetitions,
        "rounds": total.rounds // repetitions,
        "sent": total.bytes_sent // repetitions,
        "dealt": total.dealer_bytes // repetitions,
        "processor": time.process_time(),
    }


# ---- what their parent does --------------------------------------------------------------------


def run(name: str, batch: int, workers: int, repetitions: int) -> tuple[list[dict], float]:
    """What the workers found, and the seconds of computation of the dealers."""
    before = _children()
    found = ct.launch(
        classify, name, batch, repetitions, workers=workers, setup_timeout=120.0, timeout=120.0
    )
    flat = [row for party in found for row in (party if workers > 1 else [party])]
    return flat, _children() - before - sum(row["processor"] for row in flat)


def throughput(rows: list[dict], images: int) -> float:
    return images / (max(row["end"] for row in rows) - min(row["start"] for row in rows))


def measure(name: str, batch: int, workers: int, repetitions: int) -> float:
    rows, _ = run(name, batch, workers, repetitions)
    return throughput(rows, batch * workers * repetitions)


def work_of(name: str, batch: int, repetitions: int) -> Work:
    """One worker's need; the dealer's as the difference of a long run and a short one."""
    _, dealer_short = run(name, batch, 1, repetitions)
    long, dealer_long = run(name, batch, 1, 3 * repetitions)
    return Work(
        batch=batch,
        compute=max(row["compute"] for row in long),
        rounds=max(row["rounds"] for row in long),
        sent=max(row["sent"] for row in long),
        dealer_compute=max(0.0, dealer_long - dealer_short) / (2 * repetitions),
        dealt=sum(row["dealt"] for row in long),
    )


def predict(
    work: Work, workers: int, net: ct.Network, dealer_cores: int, live: bool = True
) -> tuple[float, str]:
    """Images a second, and what bounds them: the formula above."""
    alone = work.compute + net.seconds(work.rounds, work.sent)
    bounds = {"workers": workers * work.batch / alone}
    for name, limit, need in (
        ("link", net.bandwidth, work.sent),
        ("dealer's cores", dealer_cores, work.dealer_compute),
        ("dealer's link", net.bandwidth, work.dealt),
    ):
        if need > 0 and (live or name == "link"):
            bounds[name] = work.batch * limit / need
    bound = min(bounds, key=lambda name: bounds[name])
    return bounds[bound], bound


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], seconds=3)
    parser.add_argument("--network", default="C", choices=tuple(networks.NAMES))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", action="store_true", help="the prediction for up to 64 workers")
    parser.add_argument("--net", default="lan", choices=tuple(NETWORKS))
    parser.add_argument("--mbits", type=int, help="another bandwidth than that of --net")
    parser.add_argument("--dealer-cores", type=int, default=8)
    options = parser.parse_args()
    name = f"network {options.network}"
    if options.model:
        net = network_of(options.net)
        if options.mbits:
            net = ct.Network(net.latency, options.mbits * 1e6 / 8)
        for batch in options.batches:
            work = work_of(options.network, batch, max(5, 200 // batch))
            rows = []
            for workers in ON_PAPER:
                row = {"work": name, "workers": workers}
                for live, kind in ((True, "dealt live"), (False, "dealt before")):
                    images, bound = predict(work, workers, net, options.dealer_cores, live)
                    row |= {f"images/s, {kind}": images, f"bound, {kind}": bound}
                rows.append(row)
            Console().print(work)
            title = f"On paper: {net}, {options.dealer_cores} cores for dealers, batch {batch}"
            report.show(title, rows, options.json)
        return
    rows = []
    for batch in options.batches:
        one = measure(options.network, batch, 1, 20)
        repetitions = max(10, int(options.seconds * one / batch))
        first = 0.0
        for workers in options.workers:
            images = measure(options.network, batch, workers, repetitions)
            first = first or images
            row = {"work": name, "batch": batch, "workers": workers, "images/s": images}
            rows.append({**row, "of the first": images / first})
    report.show("Workers", rows, options.json)


if __name__ == "__main__":
    main()
