# SPDX-License-Identifier: MIT
"""Maxima where rounds are scarce: the same values and places, at just their costs."""

from __future__ import annotations

import pytest
import torch
from engines import ALL, C, declared, enter_shared, measured, oracle, run

cost = C.cost
SIZES = [1, 2, 4, 5, 9, 16, 17, 128, 257]


def rows_of(n: int) -> torch.Tensor:
    """Ties everywhere, among them those of the largest; rows of the ends of the range."""
    generator = torch.Generator().manual_seed(n)
    few = torch.randint(-2, 3, (6, n), generator=generator).double()
    wide = torch.randn(4, n, generator=generator, dtype=torch.float64) * 2.0**30
    end = torch.full((1, n), 2.0**45, dtype=torch.float64)
    return torch.cat([few, wide.round(), end, -end])


@pytest.mark.parametrize(("parties", "provider"), ALL)
@pytest.mark.parametrize("n", SIZES)
def test_largest_with_its_place(n, parties, provider):
    values = rows_of(n)

    def body(engine):
        x = enter_shared(engine, values)
        engine.reset_stats()
        largest, place = engine.largest_with_index(x, 1)
        promised = cost.largest_in_few_rounds(engine, 16, len(values), n, True)
        costs = measured(engine), declared(engine, promised)
        engine.reset_stats()
        alone = engine.largest(x, 1)
        promised = cost.largest_in_few_rounds(engine, 16, len(values), n, False)
        costs += measured(engine), declared(engine, promised)
        return costs, [engine.reveal(y) for y in (largest, place, alone)]

    for costs, (largest, place, alone) in run(body, parties, provider, few_rounds=True):
        assert costs[0] == costs[1] and costs[2] == costs[3]
        assert torch.equal(largest, values.amax(1)) and torch.equal(alone, largest)
        # The first of equal ones, which argmax of torch does not promise.
        first = (values == values.amax(1, keepdim=True)).double().argmax(1)
        assert torch.equal(place, first.double())


def test_the_oracle_agrees():
    values = rows_of(17)

    def both(few_rounds):
        def body(engine):
            return engine.reveal(engine.largest_with_index(enter_shared(engine, values), 1)[1])

        return oracle(body, few_rounds=few_rounds)

    assert torch.equal(both(True), both(False))


def test_fewer_rounds_for_more_bytes():
    few = cost.largest_in_few_rounds(2, 16, 1536, 128, False)
    many = cost.largest(2, 16, 1536, 128, False)
    assert few["rounds"] == 10 < many["rounds"]
    assert few["bytes_sent"] > many["bytes_sent"]
