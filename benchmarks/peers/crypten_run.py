# SPDX-License-Identifier: MIT
"""CrypTen 0.4.1, two parties over Gloo, with its trusted first party as the dealer."""

from __future__ import annotations

import math
import os
import sys
import time

import serving
import torch
import works

KINDS = {
    "matmul": lambda x, w: x.matmul(w),
    "relu": lambda x: x.relu(),
    "sigmoid": lambda x: x.sigmoid(),
    # Its erf is wrong by millions inside [-3, 3]: the approximation that it can do well.
    "gelu": lambda x: gelu(x),
    "exp": lambda x: x.exp(),
    "x > 0": lambda x: x.gt(0),
    "max": lambda x: x.max(1)[0],
    "argmax": lambda x: x.argmax(1, one_hot=False),
    "softmax": lambda x: x.softmax(1),
    "bert": lambda x, **given: bert(x, given),
    **{
        f"network {name}": lambda x, name=name, **given: network(name, x, given)
        for name in works.NETWORKS
    },
}


def gelu(x):
    return x * (1.702 * x).sigmoid()


def network(name, x, given):
    for i, layer in enumerate(works.NETWORKS[name]):
        if layer == "flatten":
            x = x.flatten(start_dim=1)
        elif layer == "relu":
            x = x.relu()
        elif layer == "pool":
            x = x.avg_pool2d(2)
        elif len(layer) == 2:
            x = x.matmul(given[f"weight{i}"].t()) + given[f"bias{i}"]
        else:
            x = x.conv2d(given[f"weight{i}"]) + given[f"bias{i}"].view(1, -1, 1, 1)
    return x


def bert(x, given):
    def linear(x, name):
        return x.matmul(given[f"w{name}"]) + given[f"b{name}"]

    def normalized(x):
        centred = x - x.mean(1, keepdim=True)
        return centred * (centred.square().mean(1, keepdim=True) + works.EPSILON).inv_sqrt()

    length, hidden = x.size()
    size = hidden // works.HEADS
    q, k, v = (linear(x, n).view(length, works.HEADS, size).transpose(0, 1) for n in "qkv")
    weights = (q.matmul(k.transpose(1, 2)) / math.sqrt(size)).softmax(-1)
    heads = weights.matmul(v).transpose(0, 1).reshape(length, hidden)
    x = normalized(x + linear(heads, "o"))
    return normalized(x + linear(gelu(linear(x, "up")), "down"))


def open_party(rank, ports):
    # CrypTen looks for a module that torch has moved since.
    import torch.onnx._internal.torchscript_exporter.registration as registration

    sys.modules["torch.onnx._internal.registration"] = registration
    import crypten
    from crypten.config import cfg
    from crypten.mpc.provider import TrustedFirstParty

    os.environ.update(
        DISTRIBUTED_BACKEND="gloo",
        RENDEZVOUS=f"tcp://127.0.0.1:{ports[0]}",
        WORLD_SIZE="2",
        RANK=str(rank),
    )
    torch.set_num_threads(1)
    crypten.init()
    dealing = timed(TrustedFirstParty)

    def prepare(kind, arrays):
        given = {
            name: crypten.cryptensor(torch.from_numpy(array).float(), src=0)
            for name, array in arrays.items()
        }
        outcome = []

        def run():
            outcome[:] = [KINDS[kind](**given)]

        def costs():
            cfg.communicator.verbose = True
            crypten.reset_communication_stats()
            dealing[0] = 0.0
            run()
            counted = crypten.communicator.get().get_communication_stats()
            cfg.communicator.verbose = False
            # Its bytes are those sent and received; every party deals for itself and sends nothing.
            return {
                "rounds": counted["rounds"],
                "bytes": counted["bytes"] / 2,
                "dealer seconds": dealing[0],
            }

        return run, lambda: outcome[0].get_plain_text().double().numpy(), costs

    return prepare


def timed(provider):
    """Seconds in the provider's own calls, from now on."""
    seconds = [0.0]

    def wrapped(method):
        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                seconds[0] += time.perf_counter() - start

        return call

    for name in (
        "generate_additive_triple",
        "square",
        "generate_binary_triple",
        "wrap_rng",
        "B2A_rng",
    ):
        setattr(provider, name, wrapped(getattr(provider, name)))
    return seconds


if __name__ == "__main__":
    serving.serve(KINDS, open_party)
