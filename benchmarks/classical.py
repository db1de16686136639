# SPDX-License-Identifier: MIT
"""Classical models and small networks beside SecretFlow-SPU 0.9.5 and Concrete ML 1.9.0.

python benchmarks/classical.py [--peers spu concrete_ml] [--only WORD ...] [--plot FILE]

The works of benchmarks/classical_runs/workloads.py, on the same arrays. Ours and SPU (SEMI2K): two
processes with one thread each, inputs and weights secret, dealing included, result not revealed.
Concrete ML computes on encrypted inputs with weights in the clear, on all cores; keys and
encryption are not counted. Seconds are medians; a work of more than 5 seconds runs once. A peer
that cannot be set up is left out with the reason.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report
import torch
from torch.nn import functional as F

import cryptensor as ct

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "classical_runs"))
import environments
import workloads

PEERS = {"spu": "SPU", "concrete_ml": "Concrete ML"}
LONG = 5.0


# ---- ours ---------------------------------------------------------------------------------------


def secret_work(kind: str, given: dict[str, torch.Tensor]):
    """A function that computes on fresh secrets at every call; a model stays the same."""
    x, model = given["x"], {n: v for n, v in given.items() if n != "x"}
    if kind.startswith("network "):
        module = workloads.module_of(
            kind.removeprefix("network "), {n: v.numpy() for n, v in model.items()}
        )
        return x, ct.encrypt(module.float(), src=0)
    if kind == "training":
        y = ct.cryptensor(given["targets"], src=1)
        return x, lambda x: ct.sklearn.LinearRegression().fit(x, y.clone()).coef_
    if kind == "forest":
        from cryptensor.sklearn.forest import Forest

        whole = {
            n: v.to(torch.int64) for n, v in model.items() if n in ("select", "paths", "lefts")
        }
        secrets = {n: constant(v) for n, v in (model | whole).items() if not n.startswith("train")}
        return x, Forest(**secrets, depth=6).sums
    if kind == "linear":
        w, b = constant(model["w"]), constant(model["b"])
        return x, lambda x: x @ w + b
    if kind == "matmul":
        w = ct.share(ct.cryptensor(model["w"], src=0))
        return x, lambda x: x @ w.clone()
    return x, {"relu": F.relu, "gelu": F.gelu, "sigmoid": torch.sigmoid}[kind]


def constant(values: torch.Tensor) -> ct.CrypTensor:
    secret = ct.cryptensor(values, src=0)
    secret._secret.reuse()
    return secret


def settled(y: ct.CrypTensor) -> ct.CrypTensor:
    """The value without a truncation that is still to be done."""
    y._engine.settle(y._secret)
    return y


def ours(names: list[str], repetitions: int) -> list[dict]:
    """Runs at every party."""
    rows = []
    for work in workloads.WORKS:
        if work.name not in names:
            continue
        arrays = work.arrays()
        given = {n: torch.from_numpy(np.ascontiguousarray(v)) for n, v in arrays.items()}
        with torch.no_grad():
            x, run = secret_work(work.kind, given)
            secret = ct.share(ct.cryptensor(x, src=1))
            result = run(secret.clone()).reveal().numpy()
            ct.reset_stats()
            settled(run(secret.clone()))
            total = ct.stats().total()
            seconds = []
            for _ in range(repetitions):
                fresh = secret.clone()
                secret._engine.synchronize()
                start = time.perf_counter()
                settled(run(fresh))
                seconds.append(time.perf_counter() - start)
        rows.append(
            {
                "work": work.name,
                "seconds": seconds,
                "error": np.abs(result.reshape(-1) - work.plain(arrays).reshape(-1)).max(),
                "rounds": total.rounds,
                "kB": total.bytes_sent / 1e3,
            }
        )
    return rows


# ---- the peers ----------------------------------------------------------------------------------


class Peer:
    """A peer's processes, which speak the language of benchmarks/peers/serving.py."""

    def __init__(self, name: str, folder: str) -> None:
        self._given, self._result = f"{folder}/{name}.npz", f"{folder}/{name}.npy"
        script = Path(workloads.__file__).with_name(f"{name}_classical.py")
        self._log = open(f"{folder}/{name}.log", "w")
        self._process = subprocess.Popen(
            [environments.python_of(name), script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.kinds = self._answer()["kinds"]

    def measure(self, work: workloads.Work, repetitions: int) -> dict:
        """Median seconds and the largest error, or the reason why there are none."""
        arrays = work.arrays()
        np.savez(self._given, **arrays)
        answer = self._ask({"work": work.name, "arrays": self._given, "result": self._result})
        if "error" in answer:
            return answer
        error = np.abs(np.load(self._result).reshape(-1) - work.plain(arrays).reshape(-1)).max()
        seconds: list[float] = []
        while len(seconds) < repetitions and (not seconds or seconds[0] < LONG):
            answer = self._ask({})
            if "error" in answer:
                return answer
            seconds.append(answer["seconds"])
        return {"seconds": statistics.median(seconds), "difference": error}

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _ask(self, message: dict) -> dict:
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("{"):  # the peers print other things too
                return json.loads(line)
        return {"error": f"the process ended with {self._process.wait()}"}


def measured(name: str, works: list[workloads.Work], repetitions: int, folder: str) -> dict:
    """By work; a process that ended is started anew for the next one."""
    try:
        peer = Peer(name, folder)
    except (environments.SetupFailed, KeyError) as problem:
        print(f"{PEERS[name]} is left out: {problem}", file=sys.stderr)
        return {}
    found = {}
    for work in works:
        if work.kind not in peer.kinds:
            continue
        found[work.name] = peer.measure(work, repetitions)
        if "error" in found[work.name]:
            print(f"{PEERS[name]}, {work.name}: {found[work.name]['error']}", file=sys.stderr)
            if peer._process.poll() is not None:
                peer = Peer(name, folder)
    peer.close()
    return found


# ---- table and picture --------------------------------------------------------------------------


def table_row(mine: dict, other: dict, peers: dict[str, dict]) -> dict:
    slower = statistics.median(map(max, zip(mine["seconds"], other["seconds"], strict=True)))
    row = {"work": mine["work"], "ours ms": 1e3 * slower}
    for name, found in peers.items():
        entry = found.get(mine["work"], {})
        row[f"{name} ms"] = 1e3 * entry["seconds"] if "seconds" in entry else ""
    row |= {
        "rounds": mine["rounds"],
        "our kB": mine["kB"] + other["kB"],
        "our error": mine["error"],
    }
    for name, found in peers.items():
        row[f"{name} error"] = found.get(mine["work"], {}).get("difference", "")
    return row


def plot(rows: list[dict], path: Path) -> None:
    import matplotlib.pyplot as plt

    columns = [name for name in rows[0] if name.endswith(" ms")]
    figure, axes = plt.subplots(figsize=(9, 0.3 * len(rows) + 1.5), layout="constrained")
    height = 0.8 / len(columns)
    for at, column in enumerate(columns):
        places = [i + at * height for i, row in enumerate(rows) if row[column] != ""]
        widths = [row[column] for row in rows if row[column] != ""]
        axes.barh(places, widths, height, label=column.removesuffix(" ms"))
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(rows))], [r["work"] for r in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds")
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], repetitions=5)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--only", nargs="*", default=[""], help="words in the names of works")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="bars of the times, PNG or SVG")
    options = parser.parse_args()
    works = [w for w in workloads.WORKS if any(word in w.name for word in options.only)]
    names = [work.name for work in works]
    mine = ct.launch(
        ours, names, options.repetitions, provider="first_party", timeout=600, setup_timeout=120
    )
    with tempfile.TemporaryDirectory() as folder:
        peers = {
            PEERS[name]: measured(name, works, options.repetitions, folder)
            for name in options.peers
        }
    rows = [table_row(*pair, peers) for pair in zip(*mine, strict=True)]
    report.show("Classical models", rows, options.json)
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
