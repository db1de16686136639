# SPDX-License-Identifier: MIT
"""The program of test_seeded.py, for the test build of the module.

Alone it prints the digests of what simulate and launch sent; torchrun gives it a folder for them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

import cryptensor as ct
from cryptensor.seeding import transcript
from cryptensor.session import current

SEED = 7


def program() -> str:
    """Inputs, products, a comparison, functions, dropout, reveals; gives the digest so far."""
    x = ct.cryptensor(torch.linspace(-2, 2, 24).reshape(4, 6), src=0)
    w = ct.cryptensor(torch.linspace(1, -1, 24).reshape(6, 4), src=1)
    for _ in range(3):
        x = torch.relu(x @ w) @ w.t()
    y = torch.nn.functional.dropout(torch.sigmoid(x), 0.5) + torch.log(x * x + 1)
    y.sort(dim=1).values.reveal()
    y.reveal(dst=1)
    return transcript(current().trace)


def unseeded() -> str:
    """As program() where there is no trace: what one party holds of a fresh share."""
    x = ct.cryptensor(torch.zeros(64), src=0)
    return str(x._engine.share(x._secret).export_share().tolist())


def main() -> None:
    if len(sys.argv) > 1:
        with ct.seeded(SEED):
            ct.init()
            (Path(sys.argv[1]) / str(ct.rank())).write_text(program())
            ct.shutdown()
        return
    with ct.seeded(SEED):
        found = {"simulate": ct.simulate(program), "simulate again": ct.simulate(program)}
        found["launch"] = ct.launch(program)
        found["launch over Gloo"] = ct.launch(program, transport="gloo")
    with ct.seeded(SEED + 1):
        found["another seed"] = ct.simulate(program)
    found["after the block"] = ct.simulate(unseeded)
    assert ct.simulate(unseeded) != found["after the block"]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
