# SPDX-License-Identifier: MIT
"""Counts wrong truncations and comparisons over very many elements.

python benchmarks/correctness.py [--truncations 268435456] [--comparisons 10000000]
"""

from __future__ import annotations

import report
import torch

import cryptensor as ct
from cryptensor import session

CHUNK = 1 << 22
VALUE = 1024.0
# Of the encodable range, with 16 fraction bits: 0, one unit, and the bounds.
EDGES = [
    0,
    1,
    -1,
    2,
    -2,
    (1 << 16),
    -(1 << 16),
    (1 << 61) - 1,
    -(1 << 61),
    (1 << 62) - 1,
    1 - (1 << 62),
]


def wrong_truncations(count: int, kind: str) -> int:
    """Of count products of value 1024: results beyond one unit in the last place."""
    engine = session.current().engine
    wrong = 0
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        x = engine.share(engine.input(torch.full((n,), VALUE) if engine.rank == 1 else [n], 1))
        product = engine.mul(x, engine.public(torch.ones(1)))
        result = engine.reveal(engine.truncate(product, 16, kind), 0)
        if result is not None:
            wrong += int(((result - VALUE).abs() > 2.0**-16).sum())
    return wrong


def wrong_comparisons(count: int) -> int:
    """Signs of random values of all magnitudes and of the edges of the range."""
    engine = session.current().engine
    generator = torch.Generator().manual_seed(7)
    wrong = 0
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        bits = torch.randint(-(1 << 62) + 1, 1 << 62, (n,), generator=generator)
        bits >>= torch.randint(0, 62, (n,), generator=generator)
        bits[: len(EDGES)] = torch.tensor(EDGES)
        # A float64 cannot hold 62 bits: the value enters as its whole part and its fraction.
        whole = bits.div(1 << 16, rounding_mode="trunc")
        fraction = (bits - (whole << 16)).double() * 2.0**-16
        owned = engine.input_many([whole, fraction] if engine.rank == 1 else [[n], [n]], 1)
        x = engine.share(engine.add(*owned))
        found = engine.reveal(engine.at_least_zero(x), 0)
        if found is not None:
            wrong += int(((found == 1) != (bits >= 0)).sum())
    return wrong


def main() -> None:
    options = report.arguments(
        __doc__.splitlines()[0], truncations=1 << 28, comparisons=10_000_000, local=1 << 24
    )
    rows = []
    for kind, count in (("default", options.truncations), ("local", options.local)):
        wrong = ct.launch(wrong_truncations, count, kind, provider="first_party", timeout=120.0)[0]
        bar = 0 if kind == "default" else ""
        rows.append({"work": f"truncation, {kind}", "elements": count, "wrong": wrong, "bar": bar})
    wrong = ct.launch(
        wrong_comparisons, options.comparisons, provider="first_party", timeout=120.0
    )[0]
    rows.append({"work": "comparison", "elements": options.comparisons, "wrong": wrong, "bar": 0})
    report.show("Wrong results", rows, options.json)


if __name__ == "__main__":
    main()
