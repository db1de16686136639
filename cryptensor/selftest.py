# SPDX-License-Identifier: MIT
"""What works on this machine, and how fast: each check runs the real thing on a small example."""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from . import _C, session
from .bench.report import median_seconds
from .data import cryptensor
from .errors import Error
from .launch import launch, simulate
from .links import make_certificates
from .nn import encrypt
from .offline import deal, offline_step, trace
from .profiler import reset_stats, stats

PARTIES = (2, 3)
_PROVIDERS = ("third_party", "first_party", "stored")
_DRAWN = 32 << 20
_TIMES = 5
_ROUNDS = 200
# Of a network with two layers, at 16 fraction bits; an error of a protocol is far larger.
_MOST_ERROR = 2.0**-9
_SECONDS = 60.0
_EXTRAS = {
    "cli": ("rich", "typer"),
    "examples": ("sklearn",),
    "onnx": ("onnx",),
    "plots": ("matplotlib", "pandas"),
    "serve": ("ray",),
    "tensorboard": ("tensorboard",),
    "transformers": ("transformers",),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. ok: None for what is optional and not there. advice: what to do, if anything."""

    name: str
    ok: bool | None
    figure: str
    seconds: float
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """run() returns what it measured, and raises where it does not work."""

    name: str
    run: Callable[[], str]
    advice: str

    def __call__(self) -> Finding:
        start = time.perf_counter()
        try:
            figure, ok, advice = self.run(), True, ""
        except Exception as error:  # whatever it is, the table has to say it
            reason = str(error).strip().partition("\n")[0]
            figure, ok, advice = f"{type(error).__name__}: {reason}", False, self.advice
        return Finding(self.name, ok, figure, time.perf_counter() - start, advice)


def checks() -> Iterator[Check]:
    """All checks, the quick ones first. Those of links start processes on this machine."""
    yield Check("build", _build, "install torch and cryptensor again, in this order")
    yield Check("pseudorandom generator", _generator, "install cryptensor again")
    for parties in PARTIES:
        for provider in _PROVIDERS:
            advice = "the library does not work here: run the tests, `make test`, and report it"
            if provider == "stored":
                advice = "the temporary folder must be writable and have 50 MB (TMPDIR chooses it)"
            name = f"inference, {parties} parties, {provider}"
            yield Check(name, partial(_in_threads, parties, provider), advice)
    yield Check(
        "processes, shared memory",
        partial(_in_processes, transport="shared_memory"),
        "/dev/shm must be writable for this user; CRYPTENSOR_TRANSPORT=gloo does without it",
    )
    yield Check(
        "processes, Gloo",
        partial(_in_processes, transport="gloo"),
        "the loopback interface must be up, and a firewall must leave it alone",
    )
    yield Check(
        "processes, encrypted links",
        _encrypted,
        "OpenSSL 3 with TLS 1.3 is needed; the loopback interface must be up",
    )


def extras() -> Iterator[Finding]:
    """Which optional packages are installed."""
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        figure = f"{', '.join(missing)} not installed" if missing else "installed"
        advice = f"pip install 'cryptensor[{extra}]'" if missing else ""
        yield Finding(f"extra: {extra}", None if missing else True, figure, 0.0, advice)


def _build() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"torch {torch.__version__}, {_C.isa()} instructions, {cores} cores"


def _generator() -> str:
    seconds = median_seconds(lambda: _C.draw(_DRAWN), _TIMES)
    return f"{_DRAWN / seconds / 1e9:.2f} GB/s on one core"


def _in_threads(parties: int, provider: str) -> str:
    if provider != "stored":
        return _figure(simulate(_infer, parties=parties, provider=provider, timeout=_SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        deal(trace(_infer, parties=parties), folder, _TIMES + 1, jobs=1)
        done = simulate(_infer, parties=parties, provider=provider, store=folder, timeout=_SECONDS)
        return _figure(done)


def _in_processes(**settings: Any) -> str:
    done = launch(_infer, True, setup_timeout=_SECONDS, timeout=_SECONDS, **settings)
    return f"round trip {1e6 * max(d['round'] for d in done):.0f} us, {_figure(done)}"


def _encrypted() -> str:
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(folder, 2, days=1)
        return _in_processes(certificates=folder)


def _figure(done: list[dict[str, float]]) -> str:
    milliseconds = 1e3 * max(d["seconds"] for d in done)
    return f"inference {milliseconds:.1f} ms, {done[0]['rounds']:.0f} rounds, result right"


def _infer(measure_rounds: bool = False) -> dict[str, float]:
    """Runs at every party: a small network of party 0, inputs of the last one. Error if wrong."""
    engine: Any = session.current().engine
    generator = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    x = torch.rand(4, 8, generator=generator)
    found: dict[str, float] = {"round": 0.0}
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.rand(weight.shape, generator=generator) - 0.5)
        expected = model(x)
        secret_model = encrypt(model, src=0)
        seconds = []
        for _ in range(_TIMES + 1):
            reset_stats()
            start = time.perf_counter()
            with offline_step():
                result = secret_model(cryptensor(x, src=engine.parties - 1)).reveal()
            seconds.append(time.perf_counter() - start)
            error = (result - expected).abs().max().item()
            if not error <= _MOST_ERROR:
                raise Error(f"the private result is off by {error:.3g}")
    found |= {"seconds": statistics.median(seconds[1:]), "rounds": stats().total().rounds}
    if measure_rounds:
        found["round"] = median_seconds(lambda: engine.synchronize(8), _ROUNDS)
    return found
