# SPDX-License-Identifier: MIT
"""Reading and writing at secret positions, and the gradients of both."""

import pytest
import torch
import torch.nn.functional as F
from agreement import encodable, gradients, secret_in, shared

import cryptensor as ct
from cryptensor import _C

torch.manual_seed(6)
X = encodable(torch.randn(6, 8))
BOUND = 2.0**-8
TABLE = encodable(torch.randn(5, 3).double())
PLACES = torch.tensor([[4, 0], [2, 2]])
ROWS = torch.tensor([[0, 2, 1], [4, 0, 3]])


def at_secret_places(x, places, rows, plain):
    line = places.reshape(-1)
    return {
        "one_hot": F.one_hot(places, 5),
        "embedding": F.embedding(places, x),
        "embedding of a public table": F.embedding(places, plain),
        "index_select": x.index_select(0, line),
        "index_select dim 1": x.t().index_select(1, line),
        "index": x[line],
        "index dim 1": x.t()[:, line],
        "gather": x.gather(0, rows),
        "gather dim 1": x.t().gather(1, rows.t()),
        "take_along_dim": torch.take_along_dim(x, rows, 0),
        "scatter_add": x.scatter_add(0, rows, x[:2] * 2),
        "index_add": x.index_add(0, line, x[:4]),
        "scatter": x.scatter(0, rows, x[:2] * 2),
    }


def select(table, places, rows):
    secret = shared(table)
    index, columns = (shared(i, torch.int64) for i in (places, rows))
    results = at_secret_places(secret, index, columns, table)
    found = secret.index_select(0, shared(table.T).argmax(1))
    return {**{k: v.reveal() for k, v in results.items()}, "by an argmax": found.reveal()}


def test_selection_by_secret_positions():
    expected = at_secret_places(TABLE, PLACES, ROWS, TABLE)
    expected["by an argmax"] = TABLE[TABLE.T.argmax(1)]
    for opened in ct.simulate(select, TABLE, PLACES, ROWS, parties=2, provider="first_party"):
        for name, plain in expected.items():
            assert opened[name].shape == plain.shape, name
            assert (opened[name] - plain).abs().max() <= 4 * 2.0**-16, name


SELECTIONS = {
    "embedding": lambda x, i: F.embedding(i, x),
    "index_select": lambda x, i: x.index_select(0, i.reshape(-1)),
    "index": lambda x, i: x[i],
    "gather": lambda x, i: x.gather(0, i),
    "scatter_add": lambda x, i: x.scatter_add(0, i, x[:2, :2] * 2),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_gradients_of_selection_by_secret_positions(name):
    function, places = SELECTIONS[name], torch.tensor([[4, 0], [2, 2]])
    engine = _C.plaintext_engine()
    secret_places = secret_in(engine, places, torch.int64)
    (found,) = gradients([secret_in(engine, X)], lambda x: function(x, secret_places))
    (expected,) = gradients([X.clone()], lambda x: function(x, places))
    assert (found.reveal() - expected).abs().max() < BOUND
