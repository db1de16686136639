# SPDX-License-Identifier: MIT
"""Functions of one opening at the borders of words and blocks: right, at just their costs."""

from __future__ import annotations

import pytest
import torch
from engines import ALL, C, declared, enter, measured, run, sharers, to_ulps

cost = C.cost


@pytest.mark.parametrize(("parties", "provider"), ALL)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 511, 512, 513, 1100])
def test_functions_of_one_opening(n, parties, provider):
    values = (torch.linspace(-2, 2, n, dtype=torch.float64) * 2**16).round() / 2**16
    values[::3] = 0
    thresholds, pieces = [-1.0, 0.5], [[-1.0], [0.0, 1.0], [0.5]]
    indices = torch.arange(n) % 9

    def body(engine):
        x = engine.share(enter(engine, values))
        index = engine.share(engine.public(indices))
        rows = x.rearrange(lambda t: torch.stack([t, -t, t.flip(0), 0 * t]))
        ends = [int(t * 2**16) for t in thresholds]
        points = cost.one_hot(n, engine, 1000)[engine.rank != sharers(engine) - 1]
        calls = [
            (
                lambda: engine.piecewise(x, thresholds, [pieces])[0],
                cost.piecewise(n, engine, ends, 1),
            ),
            (lambda: engine.is_zero(x), cost.is_zero(n, engine)),
            (lambda: engine.one_hot(index, 9), cost.one_hot(n, engine, 9)[0]),
            (lambda: engine.one_hot(index, 1000), points),
            (lambda: engine.largest(rows, 0), cost.largest(engine, 16, n, 4, False)),
            (lambda: engine.sin_cos(x)[0], cost.sin_cos(engine, 16, n)),
            (lambda: engine.exp(x), cost.exp(engine, 16, n)),
        ]
        out = []
        for call, promised in calls:
            engine.reset_stats()
            result = call()
            out.append((measured(engine), declared(engine, promised), engine.reveal(result)))
        return out

    for results in run(body, parties, provider):
        for paid, promised, _ in results:
            assert paid == promised
        clamped, zero, few, many, top, sine, power = (value for _, _, value in results)
        assert torch.equal(to_ulps(clamped), to_ulps(values.clamp(-1, 0.5)))
        assert torch.equal(zero == 1, values == 0)
        assert torch.equal(few, torch.nn.functional.one_hot(indices, 9).to(few.dtype))
        assert torch.equal(many[:, :9], few) and not many[:, 9:].any()
        expected = torch.stack([values, -values, values.flip(0), 0 * values]).amax(0)
        assert torch.equal(top, expected)
        assert ((sine - values.sin()).abs() <= 2.0**-15).all()
        assert ((power - values.exp()).abs() <= 2.0**-12 * values.exp() + 2.0**-15).all()
