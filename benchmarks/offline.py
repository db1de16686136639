# SPDX-License-Identifier: MIT
"""The offline phase: how fast a dealer makes correlations, and what a store changes online.

Dealing, on one thread: bytes a second, and the share of what the machine allows, which is the time
of expanding every mask once and of multiplying once at the rates measured in the same run. Writing
is apart: the last table deals network A to a folder, seals and disk included. Online: network A at
batch 1 with correlations of a store, and with a dealer that runs ahead.

    python benchmarks/offline.py [--repetitions 61] [--json FILE]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import torch

import cryptensor as ct
from cryptensor.offline import deal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import networks

PROGRAM = Path(__file__).resolve().parents[1] / "build/cmake/benchmarks/csrc/dealer_benchmark"
BAR = 60
BAR_ONLINE = 10
COUNT = 2_000
LOT = 100  # steps: more than a session of this benchmark takes


def measured() -> dict[str, dict]:
    """What the C++ benchmark measured, by name."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [PROGRAM, "--benchmark_format=json", "--benchmark_min_time=0.3"],
        capture_output=True,
        check=True,
        env=environment,
    )
    seconds = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    rows = json.loads(done.stdout)["benchmarks"]
    return {r["name"]: {**r, "seconds": r["cpu_time"] * seconds[r["time_unit"]]} for r in rows}


def dealing_rows() -> list[dict]:
    found = measured()
    in_cache = found["expand/16384"]
    prg = in_cache["expanded"] / in_cache["seconds"]
    rates = {}
    for kind, name in (("matmul", "multiply/matmul/512"), ("conv", "multiply/conv/64")):
        rates[kind] = found[name]["multiplications"] / found[name]["seconds"]
    rows = []
    for name, row in found.items():
        if not name.startswith("deal/"):
            continue
        _, kind, size = name.split("/")
        limit = row["expanded"] / prg + row["multiplications"] / rates.get(kind, float("inf"))
        rows.append(
            {
                "work": f"{kind} {size}",
                "ms": 1e3 * row["seconds"],
                "correlations/s": 1 / row["seconds"],
                "M elements/s": 1e-6 * row["elements"] / row["seconds"],
                "MB/s dealt": 1e-6 * row["corrections"] / row["seconds"],
                "bytes/element": row["corrections"] / row["elements"],
                "GB/s PRG": 1e-9 * prg,
                "G mul/s": 1e-9 * rates.get(kind, 0.0),
                "limit ms": 1e3 * limit,
                "% of limit": 100 * limit / row["seconds"],
                "bar %": BAR,
            }
        )
    return rows


def serve(repetitions: int) -> list[float]:
    """Runs at every party: seconds of each inference of network A behind the first few."""
    torch.manual_seed(0)
    images = torch.rand(1, 1, 28, 28)
    seconds = []
    with torch.no_grad():
        secret_model = ct.encrypt(networks.build("A").eval(), src=0)
        for _ in range(repetitions + 5):
            start = time.perf_counter()
            with ct.offline_step():
                secret_model(ct.cryptensor(images, src=1)).reveal(dst=1)
            seconds.append(time.perf_counter() - start)
    return seconds[5:]


def median_ms(seconds: list[float]) -> float:
    return 1e3 * sorted(seconds)[len(seconds) // 2]


def store_rows(plan: ct.Plan, folder: Path) -> list[dict]:
    rows = []
    for jobs in sorted({1, os.cpu_count() or 1}):
        out = folder / f"jobs{jobs}"
        start = time.perf_counter()
        dealt = deal(plan, out, COUNT, steps_per_lot=LOT, jobs=jobs)
        seconds = time.perf_counter() - start
        rows.append(
            {
                "work": f"network A, {COUNT} steps, {jobs} jobs",
                "lots": dealt.lots,
                "steps/s": COUNT / seconds,
                "MB/s": 1e-6 * dealt.bytes / seconds,
                "kB/step": 1e-3 * plan.step_bytes,
            }
        )
    return rows


def online_rows(folder: Path, repetitions: int) -> list[dict]:
    """Five sessions of each provider in turns; the medians of their medians."""
    found: dict[str, list[float]] = {"stored": [], "third_party": []}
    for _ in range(5):
        for provider, medians in found.items():
            store = {"store": folder} if provider == "stored" else {}
            medians.append(median_ms(ct.launch(serve, repetitions, provider=provider, **store)[1]))
    stored, live = (sorted(medians)[2] for medians in found.values())
    return [
        {
            "work": "network A, batch 1",
            "ms stored": stored,
            "ms live dealer": live,
            "live is slower by %": 100 * (live / stored - 1),
            "bar %": BAR_ONLINE,
        }
    ]


def main() -> None:
    options = report.arguments(__doc__.splitlines()[0], repetitions=61)
    if PROGRAM.exists():
        report.show("Dealing, one thread, without a file", dealing_rows(), options.json)
    else:
        print(f"{PROGRAM.name} is not built: cmake --build build/cmake --target benchmarks")
    plan = ct.trace(serve, 3)
    with tempfile.TemporaryDirectory() as folder:
        report.show("Dealing to a folder", store_rows(plan, Path(folder)), options.json)
        rows = online_rows(Path(folder) / "jobs1", options.repetitions)
        report.show("Online", rows, options.json)


if __name__ == "__main__":
    main()
