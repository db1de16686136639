# SPDX-License-Identifier: MIT
"""cryptensor with its first-party provider, which deals in the parties' own time.

The argument is the transport: gloo (TCP over loopback) or shared_memory.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import serving
import torch
import torch.nn.functional as F
import works
from torch import nn

import cryptensor as ct
from cryptensor.offline import deal

STORE_BYTES = 64 << 20  # dealt at a time, to measure how long it takes


class Network(nn.Sequential):
    def __init__(self, name: str, given: dict) -> None:
        layers = []
        for i, layer in enumerate(works.NETWORKS[name]):
            if isinstance(layer, str):
                made = {"flatten": nn.Flatten(), "relu": nn.ReLU(), "pool": nn.AvgPool2d(2)}[layer]
            else:
                made = nn.Linear(*layer) if len(layer) == 2 else nn.Conv2d(*layer)
                made.weight.data = given[f"weight{i}"]
                made.bias.data = given[f"bias{i}"]
            layers.append(made)
        super().__init__(*layers)


class BertLayer(nn.Module):
    def __init__(self, given: dict) -> None:
        super().__init__()
        for name in ("q", "k", "v", "o", "up", "down"):
            weight = given[f"w{name}"]
            layer = nn.Linear(*weight.shape)
            layer.weight.data, layer.bias.data = weight.T.contiguous(), given[f"b{name}"]
            setattr(self, name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length, hidden = x.shape
        q, k, v = (
            layer(x).reshape(1, length, works.HEADS, -1).transpose(1, 2)
            for layer in (self.q, self.k, self.v)
        )
        heads = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        x = F.layer_norm(x + self.o(heads.reshape(length, hidden)), (hidden,), eps=works.EPSILON)
        return F.layer_norm(x + self.down(F.gelu(self.up(x))), (hidden,), eps=works.EPSILON)


KINDS = {
    "matmul": None,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "exp": torch.exp,
    "x > 0": lambda x: x > 0,
    "max": lambda x: x.amax(1),
    "argmax": lambda x: x.argmax(1),
    "softmax": lambda x: x.softmax(1),
    "bert": None,
    **{f"network {name}": None for name in works.NETWORKS},
}


def secret_work(kind: str, given: dict):
    """A function without arguments that computes on secrets. Runs at every party."""
    x = ct.share(ct.cryptensor(given["x"], src=1))
    # Copies, because what a run has opened of a value under a mask would serve the next run too;
    # the weights of a model keep that from the first run on.
    if kind == "matmul":
        w = ct.share(ct.cryptensor(given["w"], src=0))
        return lambda: x.clone() @ w.clone()
    if KINDS[kind] is not None:
        return lambda: KINDS[kind](x.clone())
    model = BertLayer(given) if kind == "bert" else Network(kind.split()[1], given)
    secret_model = ct.encrypt(model.eval(), src=0)
    return lambda: secret_model(x.clone())


def steps(kind: str, given: dict) -> None:
    with torch.no_grad():
        run = secret_work(kind, given)
        for _ in range(3):
            with ct.offline_step():
                settled(run())


def settled(y: ct.CrypTensor) -> ct.CrypTensor:
    """The value without a truncation that is still to be done."""
    y._engine.settle(y._secret)
    return y


def dealer_seconds(kind: str, given: dict, dealt_bytes: int) -> float:
    """Of one run on one thread, written to a file in memory."""
    if not dealt_bytes:
        return 0.0
    count = max(1, min(50, STORE_BYTES // dealt_bytes))
    plan = ct.trace(steps, kind, given)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        start = time.perf_counter()
        deal(plan, folder, count, steps_per_lot=count, jobs=1)
        return (time.perf_counter() - start) / count


def open_party(rank, ports):
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(ports[0])
    )
    ct.init(provider="first_party", transport=sys.argv[1], threads=1, timeout=serving.DEADLINE)
    torch.set_grad_enabled(False)

    def prepare(kind, arrays):
        given = {name: torch.from_numpy(array).float() for name, array in arrays.items()}
        work = secret_work(kind, given)
        outcome = []

        def run():
            outcome[:] = [settled(work())]

        def costs():
            ct.reset_stats()
            run()
            total = ct.stats().total()
            counted = {
                "rounds": total.rounds,
                "bytes": total.bytes_sent,
                "dealer bytes": total.dealer_bytes,
            }
            if rank == 1:  # the one that gets the corrections
                seconds = dealer_seconds(kind, given, total.dealer_bytes)
                counted["dealer seconds"] = seconds
            return counted

        return run, lambda: outcome[0].reveal().double().numpy(), costs

    return prepare


if __name__ == "__main__":
    serving.serve(KINDS, open_party)
