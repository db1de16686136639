# SPDX-License-Identifier: MIT
"""cryptensor, CrypTen, SecretFlow-SPU, tf-encrypted and Concrete ML at the same works, in one run.

    python benchmarks/peers [--systems NAME ...] [--only TEXT ...] [--repetitions 5] [--out FOLDER]

Sets up what is missing (see environments.py), lets every system do each work once to see its error
and what it costs, and then all of them in turns: inputs secret already, result not revealed,
dealing included, one thread a process. Writes FOLDER/index.md with its plots, and
FOLDER/results.json, from which `--page-only` writes the page anew. A system that cannot be set up,
or fails at a work, is on the page with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import environments
import numpy as np
import page
import works

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
SECONDS = 5.0  # of repetitions for one system at one work; slower works repeat less often


@dataclass(frozen=True)
class System:
    """`environment` is a name of environments.RECIPES, or None for this interpreter."""

    title: str
    script: str
    environment: str | None = None
    argument: str = ""


SYSTEMS = {
    "ours": System("cryptensor", "ours_run.py", None, "gloo"),
    "ours_memory": System("cryptensor, shared memory", "ours_run.py", None, "shared_memory"),
    "crypten": System("CrypTen", "crypten_run.py", "crypten"),
    "spu": System("SPU SEMI2K", "spu_run.py", "spu", "SEMI2K"),
    "spu_aby3": System("SPU ABY3", "spu_run.py", "spu", "ABY3"),
    "tf_encrypted": System("tf-encrypted ABY3", "tf_encrypted_run.py", "tf_encrypted"),
    "concrete_ml": System("Concrete ML", "concrete_ml_run.py", "concrete_ml"),
}


class Running:
    """A system's processes, which end with this one. Arrays travel as files in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        system = SYSTEMS[name]
        needed = system.environment
        python = environments.python_of(needed) if needed else Path(sys.executable)
        self._result = folder / f"{name}.npy"
        one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        variables = {**os.environ, **one, "PYTHONPATH": "" if needed else str(CHECKOUT)}
        with (folder.parent / f"run_{name}.log").open("a") as log:
            self._process = subprocess.Popen(
                [python, HERE / system.script, *system.argument.split()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=variables,
                text=True,
            )
        self.kinds = self._answer()["kinds"]

    def prepare(self, work: str, arrays: Path) -> tuple[np.ndarray, dict]:
        """The revealed result of a first run and its costs. Raises RuntimeError with the reason."""
        message = {"work": work, "arrays": str(arrays), "result": str(self._result)}
        costs = self._request(message)["costs"]
        return np.load(self._result), costs

    def again(self) -> dict:
        return self._request({})

    def stop(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _request(self, message: dict) -> dict:
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError("its processes have ended") from None
        return self._answer()

    def _answer(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("{"):  # the systems print other things too
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer
        raise RuntimeError(f"its processes have ended with status {self._process.wait()}")


class Field:
    """All systems that run, started when they are needed and anew after one has ended."""

    def __init__(self, names: list[str], folder: Path) -> None:
        self._names, self._folder = names, folder
        self._running: dict[str, Running] = {}
        self.missing: dict[str, str] = {}

    def start(self) -> None:
        for name in self._names:
            if name in self._running or name in self.missing:
                continue
            try:
                self._running[name] = Running(name, self._folder)
            except (RuntimeError, OSError) as error:
                self.missing[name] = str(error)

    def run(self, work: works.Work, repetitions: int) -> dict[str, dict]:
        """What each system measured, or {"problem"}; nothing where it has no such work."""
        self.start()
        arrays = work.arrays()
        file = self._folder / "arrays.npz"
        np.savez(file, **arrays)
        expected = work.plain(arrays)
        offering = {n: one for n, one in self._running.items() if work.kind in one.kinds}
        rows = {name: self._first(name, work, file, expected) for name in offering}
        times = {name: [] for name, row in rows.items() if "problem" not in row}
        for _ in range(repetitions):
            for name, seconds in times.items():
                if sum(seconds) + (seconds[-1] if seconds else 0) < SECONDS and name in rows:
                    self._repeat(name, rows[name], seconds)
        for name, seconds in times.items():
            if seconds:
                rows[name] |= {"seconds": statistics.median(seconds), "repetitions": len(seconds)}
        return rows

    def _first(self, name: str, work: works.Work, file: Path, expected: np.ndarray) -> dict:
        try:
            result, costs = self._running[name].prepare(work.name, file)
            errors = np.abs(result.reshape(expected.shape) - expected)
        except (RuntimeError, ValueError) as error:
            self._lost(name)
            return {"problem": str(error)}
        bound = 0.5 if work.whole else 0.01 + 0.01 * np.abs(expected)
        return {
            **costs,
            "largest error": float(errors.max()),
            # NaN is wrong too.
            "wrong values": int((~(errors <= bound)).sum()),
            "values": int(errors.size),
        }

    def _repeat(self, name: str, row: dict, seconds: list[float]) -> None:
        try:
            answer = self._running[name].again()
        except RuntimeError as error:
            row["problem"] = str(error)
            self._lost(name)
            return
        seconds.append(answer["seconds"])
        crossed = answer["loopback bytes"]
        row["loopback bytes"] = min(crossed, row.get("loopback bytes", crossed))

    def _lost(self, name: str) -> None:
        """Forgets a system whose processes have ended, so that the next work starts it anew."""
        if self._running[name]._process.poll() is not None:
            del self._running[name]

    def stop(self) -> None:
        for one in self._running.values():
            one.stop()


def measure(names: list[str], chosen: list[works.Work], repetitions: int, file: Path) -> None:
    """Writes what is measured so far to the file after each work."""
    recipes = environments.RECIPES
    results = {
        "when": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {processor()}, {platform.system()}",
        "titles": {name: SYSTEMS[name].title for name in names},
        "versions": [r.title for k, r in recipes.items() if k in _environments(names)],
        "missing": {},
        "rows": [],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    environments.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=environments.FOLDER) as folder:
        field = Field(names, Path(folder))
        try:
            for work in chosen:
                measured = field.run(work, repetitions)
                results["missing"] = {SYSTEMS[n].title: why for n, why in field.missing.items()}
                results["rows"].append({"work": work.name, "systems": measured})
                file.write_text(json.dumps(results, indent=1))
                seconds = {n: r.get("seconds", r.get("problem")) for n, r in measured.items()}
                print(work.name, seconds, flush=True)
        finally:
            field.stop()


def _environments(names: list[str]) -> set[str | None]:
    return {SYSTEMS[name].environment for name in names}


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--only", nargs="*", help="works with one of these texts in their name")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=environments.FOLDER / "page")
    parser.add_argument("--page-only", action="store_true", help="from the results in --out")
    options = parser.parse_args()
    file = options.out / "results.json"
    if not options.page_only:
        chosen = [
            work
            for work in works.WORKS
            if not options.only or any(text in work.name for text in options.only)
        ]
        measure(options.systems, chosen, options.repetitions, file)
    print(page.write(json.loads(file.read_text()), options.out))


if __name__ == "__main__":
    main()
