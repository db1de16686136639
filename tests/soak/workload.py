# SPDX-License-Identifier: MIT
"""What a party of the soak test runs: random operations, checked for their values and bytes."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from engines import C, declared, enter_shared, measured, oracle, to_ulps
from function_operations import FUNCTIONS
from operations import OPERATIONS, settling_cost
from test_operations import applies, compute

import cryptensor as ct
from cryptensor.session import current

cost = C.cost
UNIT = 2.0**-16
PRECISE = 2.0**-11
N = 1 << 17
ROWS, COLUMNS = 1 << 12, 32
SIDE = 192


@dataclass
class Tally:
    """What one party counted. `elements`: results of large operations, and products in a matmul."""

    elements: int = 0
    operations: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Large:
    """A protocol on many elements: how it is called, what it costs, what it should give."""

    name: str
    shape: tuple[int, ...]
    apply: Callable
    cost: Callable
    exact: Callable
    off: Callable = lambda x: torch.tensor(2 * UNIT, dtype=torch.float64)
    elements: int = N


def relative(function):
    return lambda x: function(x).abs() * PRECISE + 4 * UNIT


def positive(x):
    return x.abs() + 0.25


def settled_product(e, n):
    return [cost.product(n, n, n, e.parties), settling_cost(e, n)]


LARGE = [
    Large(
        "mul",
        (2, N),
        lambda e, x: e.settle(e.mul(x.rearrange(lambda s: s[0]), x.rearrange(lambda s: s[1]))),
        # Two views of one value, which is opened once.
        lambda e: [cost.product(2 * N, 0, N, e.parties), settling_cost(e, N)],
        lambda x: x[0] * x[1],
    ),
    Large(
        "square",
        (N,),
        lambda e, x: e.settle(e.square(x)),
        lambda e: [cost.square(N, e.parties), settling_cost(e, N)],
        torch.square,
    ),
    Large(
        "matmul",
        (SIDE, SIDE),
        lambda e, x: e.settle(e.matmul(x, x.rearrange(lambda s: s.t().clone()))),
        lambda e: settled_product(e, SIDE * SIDE),
        lambda x: x @ x.t(),
        elements=SIDE**3,
    ),
    Large(
        "relu",
        (N,),
        lambda e, x: e.relu(x),
        lambda e: [cost.relu(N, e.parties, 0)],
        torch.relu,
    ),
    Large(
        "sign",
        (N,),
        lambda e, x: e.at_least_zero(x),
        lambda e: [cost.at_least_zero(N, e.parties)],
        lambda x: (x >= 0).double(),
    ),
    Large(
        "sigmoid",
        (N,),
        lambda e, x: e.activation("sigmoid", x),
        lambda e: [cost.activation(e.parties, e.precision, "sigmoid", N, False)],
        torch.sigmoid,
        lambda x: torch.tensor(PRECISE, dtype=torch.float64),
    ),
    Large(
        "exp",
        (N,),
        lambda e, x: e.settle(e.exp(x)),
        lambda e: [cost.exp(e.parties, e.precision, N)],
        torch.exp,
        relative(torch.exp),
    ),
    Large(
        "maximum of rows",
        (ROWS, COLUMNS),
        lambda e, x: e.largest(x, 1),
        lambda e: [cost.largest(e.parties, e.precision, ROWS, COLUMNS, False)],
        lambda x: x.amax(1),
        elements=ROWS * COLUMNS,
    ),
]


def play(seed: int, seconds: float) -> Tally:
    """Runs in a session for so long; every party draws the same operations."""
    engine = current().engine
    choose = random.Random(seed)
    tally = Tally()
    small = [o for o in OPERATIONS + FUNCTIONS if applies(o, engine.parties)]
    end = time.monotonic() + seconds
    while _agreed(time.monotonic() < end):
        torch.manual_seed(choose.randrange(2**31))
        # Each once before any again, so that every buffer has its size early.
        for case in choose.sample(LARGE, len(LARGE)):
            run_large(engine, case, tally)
            run_small(engine, choose.choice(small), tally)
    return tally


def _agreed(goes_on: bool) -> bool:
    """What party 0 says."""
    return bool(ct.cryptensor(torch.tensor(float(goes_on)), src=0).reveal())


def run_large(engine, case: Large, tally: Tally) -> None:
    values = (2 * torch.randn(case.shape, dtype=torch.float64) / UNIT).round() * UNIT
    x = enter_shared(engine, values, tally.operations % engine.parties)
    engine.reset_stats()
    result = case.apply(engine, x)
    paid, promised = measured(engine), declared(engine, *case.cost(engine))
    if paid != promised:
        tally.wrong.append(f"{case.name}: {paid} paid, {promised} declared")
    expected = case.exact(values)
    # A product of 2 x 16 fraction bits settles within a unit; float64 rounds far below that.
    far = (engine.reveal(result) - expected).abs() > case.off(values)
    if bool(far.any()):
        tally.wrong.append(f"{case.name}: {int(far.sum())} results beyond the bound")
    tally.elements += case.elements
    tally.operations += 1


def run_small(engine, case, tally: Tally) -> None:
    """One of the conformance suite, against the oracle."""
    values = [3 * torch.randn(o.shape, dtype=torch.float64) for o in case.operands]
    expected, bits, _ = oracle(lambda e: compute(e, case, values), precision=engine.precision)
    value, _, rows = compute(engine, case, values)
    paid = tuple(sum(row[key] for row in rows) for key in ("rounds", "bytes_sent", "dealer_bytes"))
    promised = declared(engine, *case.cost(engine))
    if paid != promised:
        tally.wrong.append(f"{case.name}: {paid} paid, {promised} declared")
    place = min(engine.precision, bits)
    off = to_ulps(value, place) - to_ulps(expected, place)
    (low, high), more = case.error(engine), case.relative(engine) * to_ulps(expected, place).abs()
    if not bool(((low - more <= off) & (off <= high + more)).all()):
        tally.wrong.append(f"{case.name}: beyond the bound")
    tally.operations += 1
    tally.elements += math.prod(expected.shape)


def short_session() -> float:
    """A session that is opened, used a little and closed."""
    x = ct.cryptensor(torch.arange(4.0), src=0)
    return float((torch.relu(x - 1.5) * x).sum().reveal())


SHORT_RESULT = float((torch.relu(torch.arange(4.0) - 1.5) * torch.arange(4.0)).sum())
