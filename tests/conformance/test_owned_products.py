# SPDX-License-Identifier: MIT
"""A weight that its owner knows: never shared, opened under a mask once, then one message a use."""

import pytest
import torch
from engines import enter, enter_shared, run_traced

ROWS, INNER, COLUMNS = 3, 5, 7
USES = 4


def products(src_of_input):
    def body(engine):
        generator = torch.Generator().manual_seed(3)
        x, w = (
            torch.rand(*size, generator=generator, dtype=torch.float64)
            for size in ((ROWS, INNER), (INNER, COLUMNS))
        )
        weight = enter(engine, w, 0)
        weight.reuse()
        owned = src_of_input is not None
        x_secret = enter(engine, x, src_of_input) if owned else enter_shared(engine, x, 1)
        engine.reset_stats()
        # Copies: what is sent of a value is kept with it.
        found = [
            engine.reveal(engine.matmul(x_secret.rearrange(torch.clone), weight))
            for _ in range(USES)
        ]
        assert weight.owner == 0
        rows = {row["operation"]: row for row in engine.stats()}
        return [(y - x @ w).abs().max().item() for y in found], rows["matmul"]["rounds"]

    return body


@pytest.mark.parametrize("provider", ["first_party", "third_party"])
@pytest.mark.parametrize("src_of_input", [1, None], ids=["owned input", "shared input"])
@pytest.mark.parametrize("parties", [2, 3])
def test_one_message_to_the_owner_for_each_product(parties, provider, src_of_input):
    results, frames = run_traced(products(src_of_input), parties, provider)
    for errors, rounds in results:
        assert max(errors) < 2**-10
        assert rounds == USES
    sent = [
        [(f.peer, len(f.payload)) for f in frames[rank] if f.operation == "matmul"]
        for rank in range(parties)
    ]
    # The owner: its weight under a mask, once to each of the others.
    assert sorted(sent[0]) == [(peer, 8 * INNER * COLUMNS) for peer in range(1, parties)]
    # The others: their part of the input under a mask.
    senders = range(1, parties) if src_of_input is None else [src_of_input]
    for rank in range(1, parties):
        count = USES if rank in senders else 0
        assert sent[rank] == [(0, 8 * ROWS * INNER)] * count
    # Nothing that could be a share of the weight: no other message of its size left the owner.
    sizes = [len(f.payload) for f in frames[0] if f.operation not in ("reveal", "matmul")]
    assert 8 * INNER * COLUMNS not in sizes
