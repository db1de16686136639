# SPDX-License-Identifier: MIT
"""Time and error of the functions next to those of CrypTen and SecretFlow-SPU, in one run.

python benchmarks/peers.py [--crypten PYTHON] [--spu PYTHON] [--repetitions 5] [--json FILE]

PYTHON is the interpreter of an environment that has the peer; benchmarks/peers/crypten_run.py and
spu_run.py say how to make one. Without it the columns of that peer are left out. Of each work, one
repetition of ours and one of each peer take turns: inputs already secret and uniform in [-3, 3] or
[0.1, 3], result not revealed, preprocessing included, the slower of two processes with one thread
each. Ratios are peer to ours.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import functions
import numpy as np
import report
import torch

import cryptensor as ct
from cryptensor import session

NOT_COMPARED = {"clamp", "softplus", "mish", "sin and cos", "layer_norm 128 x 768"}
POSITIVE = {"reciprocal", "rsqrt", "sqrt", "log"}
PEERS = {"CrypTen": "crypten", "SPU": "spu"}


class Peer:
    """A peer's processes; they end with this one. Tensors travel as files in a folder."""

    def __init__(self, python: str, script: str, folder: str) -> None:
        self._given, self._result = f"{folder}/given.npy", f"{folder}/result.npy"
        self._process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._works = self._answer()["works"]

    def prepare(self, work: str, values: torch.Tensor) -> torch.Tensor | None:
        """The revealed result of the first run; None where the peer does not offer the work."""
        if work not in self._works:
            return None
        np.save(self._given, values.numpy())
        self._request({"work": work, "values": self._given, "result": self._result})
        return torch.from_numpy(np.load(self._result))

    def seconds(self) -> float:
        return self._request({})["seconds"]

    def _request(self, message: dict) -> dict:
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("{"):  # the peers print other things too
                return json.loads(line)
        raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")


def compared(name: str) -> functions.Work:
    """The work on a range that all support."""
    work = next(work for work in functions.WORKS if work.name == name)
    return dataclasses.replace(work, low=0.1 if name in POSITIVE else -3.0, high=3.0)


def inputs(work: functions.Work) -> torch.Tensor:
    values = work.values()
    if work.name == "x == 0":
        return values.round()  # with zeros
    if work.name.startswith("argmax"):
        return values.argsort(1) / 16 - 3.0  # without ties, which CrypTen breaks at random
    return values


def measure(names: list[str], commands: dict, repetitions: int) -> list[dict]:
    """Runs at every party; the last one drives the peers while the others wait for it."""
    engine = session.current().engine
    peers = {name: Peer(*command) for name, command in commands.items() if engine.rank == 1}
    rows = []
    for work in map(compared, names):
        values = inputs(work).double()
        expected = work.plain(values)
        x = engine.share(engine.input(values if engine.rank == 1 else list(values.shape), 1))
        row = {"work": work.name, "seconds": {"ours": []}, "errors": {}}
        result = engine.reveal(engine.settle(work.call(engine, x)))
        row["errors"]["ours"] = (result - expected).abs().max().item()
        offering = {}
        for name, peer in peers.items():
            result = peer.prepare(work.name, values)
            if result is not None:
                row["errors"][name] = (result - expected).abs().max().item()
                row["seconds"][name] = []
                offering[name] = peer
        for _ in range(repetitions):
            engine.synchronize()
            start = time.perf_counter()
            engine.settle(work.call(engine, x))
            row["seconds"]["ours"].append(time.perf_counter() - start)
            for name, peer in offering.items():
                row["seconds"][name].append(peer.seconds())
        rows.append(row)
    return rows


def table_row(first: dict, last: dict, peers: list[str]) -> dict:
    """Of one work: `first` and `last` as the two parties measured it."""
    slower = map(max, zip(first["seconds"]["ours"], last["seconds"]["ours"], strict=True))
    ours = 1e3 * statistics.median(slower)
    row = {"work": first["work"], "ours ms": ours}
    for peer in peers:
        offered = peer in last["seconds"]
        ms = 1e3 * statistics.median(last["seconds"][peer]) if offered else ""
        row |= {f"{peer} ms": ms, f"{peer} ratio": ms / ours if offered else ""}
    row["our error"] = first["errors"]["ours"]
    return row | {f"{peer} error": last["errors"].get(peer, "") for peer in peers}


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], repetitions=5)
    parser.add_argument("--only", nargs="*", help="names of works; all of them by default")
    for name, key in PEERS.items():
        parser.add_argument(f"--{key}", metavar="PYTHON", help=f"interpreter that has {name}")
    options = parser.parse_args()
    scripts = Path(__file__).resolve().with_suffix("")
    names = [work.name for work in functions.WORKS if work.name not in NOT_COMPARED]
    names = [name for name in names if not options.only or name in options.only]
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            name: (python, str(scripts / f"{key}_run.py"), folder)
            for name, key in PEERS.items()
            if (python := getattr(options, key))
        }
        parties = ct.launch(
            measure, names, commands, options.repetitions, provider="first_party", timeout=600
        )
    rows = [table_row(*row, list(commands)) for row in zip(*parties, strict=True)]
    report.show("Functions and those of the peers, largest errors", rows, options.json)


if __name__ == "__main__":
    main()
