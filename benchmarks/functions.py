# SPDX-License-Identifier: MIT
"""Time, rounds, bytes and error of every function, dealing included, in one run.

python benchmarks/functions.py [--repetitions 15] [--only NAME ...] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import report
import torch
import torch.nn.functional as F

import cryptensor as ct
from cryptensor import session

MANY = (100_000,)


@dataclass(frozen=True)
class Work:
    """`call(engine, secret)` against `plain(tensor)` on values between low and high."""

    name: str
    call: Callable
    plain: Callable
    shape: tuple[int, ...] = MANY
    low: float = -20.0
    high: float = 20.0
    bar_ms: float | None = None
    bar_rounds: int | None = None

    def values(self) -> torch.Tensor:
        torch.manual_seed(len(self.name))
        x = self.low + (self.high - self.low) * torch.rand(self.shape, dtype=torch.float64)
        return (x * 2**16).round() / 2**16


def smooth(name: str, plain: Callable, bar: float | None = 12.0) -> Work:
    return Work(name, lambda e, x: e.activation(name, x), plain, bar_ms=bar)


def pooled(engine, x):
    windows = x.rearrange(
        lambda s: s.reshape(1, 16, 14, 2, 14, 2).permute(3, 5, 0, 1, 2, 4).reshape(4, 1, 16, 14, 14)
    )
    return engine.largest(windows, 0)


WORKS = [
    Work("relu", lambda e, x: e.relu(x), F.relu, bar_ms=4),
    Work("x >= 0", lambda e, x: e.at_least_zero(x), lambda x: (x >= 0).double(), bar_ms=4),
    Work("x == 0", lambda e, x: e.is_zero(x), lambda x: (x == 0).double(), bar_ms=4),
    Work(
        "clamp",
        lambda e, x: e.piecewise(x, [-1.0, 1.0], [[[-1.0], [0.0, 1.0], [1.0]]])[0],
        lambda x: x.clamp(-1, 1),
    ),
    smooth("sigmoid", torch.sigmoid),
    smooth("tanh", torch.tanh),
    smooth("erf", torch.erf),
    smooth("gelu", F.gelu),
    smooth("silu", F.silu),
    smooth("softplus", F.softplus, None),
    smooth("mish", F.mish, None),
    Work("exp", lambda e, x: e.exp(x), torch.exp, high=20.0, bar_ms=12),
    Work("sin and cos", lambda e, x: e.sin_cos(x)[0], torch.sin, low=-100, high=100),
    Work("reciprocal", lambda e, x: e.reciprocal(x), torch.reciprocal, low=0.1, bar_ms=20),
    Work("rsqrt", lambda e, x: e.power(x, -0.5), torch.rsqrt, low=0.01, high=1e4, bar_ms=20),
    Work("sqrt", lambda e, x: e.power(x, 0.5), torch.sqrt, low=0.01, high=1e4, bar_ms=20),
    Work("log", lambda e, x: e.log(x), torch.log, low=0.01, high=1e4, bar_ms=20),
    Work(
        "max of 1000 x 100",
        lambda e, x: e.largest(x, 1),
        lambda x: x.amax(1),
        (1000, 100),
        bar_ms=15,
    ),
    Work(
        "argmax of 1000 x 100",
        lambda e, x: e.largest_with_index(x, 1)[1],
        lambda x: x.argmax(1).double(),
        (1000, 100),
        bar_ms=20,
    ),
    Work(
        "softmax 128 x 128",
        lambda e, x: e.softmax(x, 1),
        lambda x: x.softmax(1),
        (128, 128),
        bar_ms=10,
        bar_rounds=40,
    ),
    Work(
        "sort of 10,000",
        lambda e, x: e.sort(x, 0, False),
        lambda x: x.sort()[0],
        (10_000,),
        bar_ms=60,
    ),
    Work(
        "max_pool2d 1x16x28x28, 2x2",
        pooled,
        lambda x: F.max_pool2d(x, 2),
        (1, 16, 28, 28),
        bar_ms=3,
    ),
    Work(
        "layer_norm 128 x 768",
        lambda e, x: e.standardize(x, 1e-5)[0],
        lambda x: F.layer_norm(x, (768,)),
        (128, 768),
        bar_ms=15,
        bar_rounds=12,
    ),
]


def measure(work_names: list[str], repetitions: int) -> list[dict]:
    """Runs at every party. Below the tensors, so that only the protocol is timed."""
    engine = session.current().engine
    rows = []
    for work in WORKS:
        if work.name not in work_names:
            continue
        values = work.values()
        x = engine.share(engine.input(values if engine.rank == 1 else list(values.shape), 1))
        work.call(engine, x)
        engine.reset_stats()
        result = work.call(engine, x)
        cost = engine.stats()
        seconds = report.median_seconds(lambda work=work, x=x: work.call(engine, x), repetitions)
        error = (engine.reveal(engine.settle(result)) - work.plain(values)).abs().max().item()
        n = values.numel()
        rows.append(
            {
                "work": work.name,
                "elements": n,
                "ms": 1e3 * seconds,
                "bar ms": work.bar_ms or "",
                "rounds": sum(row["rounds"] for row in cost),
                "bar rounds": work.bar_rounds or "",
                "bytes online": sum(row["bytes_sent"] for row in cost) / n,
                "bytes dealt": sum(row["dealer_bytes"] for row in cost) / n,
                "largest error": error,
            }
        )
    return rows


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], repetitions=15)
    parser.add_argument("--only", nargs="*", help="names of works; all of them by default")
    options = parser.parse_args()
    chosen = [work.name for work in WORKS if not options.only or work.name in options.only]
    rows = ct.launch(measure, chosen, options.repetitions, provider="first_party")[-1]
    report.show("Functions, first-party provider, bytes per element", rows, options.json)


if __name__ == "__main__":
    main()
