# SPDX-License-Identifier: MIT
"""SecretFlow-SPU 0.9.5 over 64 bits; the argument is SEMI2K (2 parties) or ABY3 (3 parties).

SEMI2K deals as it does by default, by its trusted first party. What it counts comes from the
profile that it prints.
"""

from __future__ import annotations

import math
import os
import re
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import serving
import spu.utils.frontend as frontend
import works
from jax import lax
from spu import Io, Runtime, libspu

PROTOCOL = sys.argv[1] if len(sys.argv) > 1 else "SEMI2K"
PARTIES = {"SEMI2K": 2, "ABY3": 3}[PROTOCOL]
WINDOW = (1, 1, 2, 2)


def network(name, x, given):
    for i, layer in enumerate(works.NETWORKS[name]):
        if layer == "flatten":
            x = x.reshape(x.shape[0], -1)
        elif layer == "relu":
            x = jax.nn.relu(x)
        elif layer == "pool":
            x = lax.reduce_window(x, 0.0, lax.add, WINDOW, WINDOW, "VALID") * 0.25
        elif len(layer) == 2:
            x = x @ given[f"weight{i}"].T + given[f"bias{i}"]
        else:
            weight, bias = given[f"weight{i}"], given[f"bias{i}"]
            x = lax.conv(x, weight, (1, 1), "VALID") + bias[:, None, None]
    return x


def bert(x, given):
    def linear(x, name):
        return x @ given[f"w{name}"] + given[f"b{name}"]

    def normalized(x):
        centred = x - x.mean(-1, keepdims=True)
        return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + works.EPSILON)

    length, hidden = x.shape
    size = hidden // works.HEADS
    q, k, v = (linear(x, n).reshape(length, works.HEADS, size).swapaxes(0, 1) for n in "qkv")
    weights = jax.nn.softmax(q @ k.swapaxes(1, 2) / math.sqrt(size), -1)
    x = normalized(x + linear((weights @ v).swapaxes(0, 1).reshape(length, hidden), "o"))
    return normalized(x + linear(jax.nn.gelu(linear(x, "up"), approximate=False), "down"))


KINDS = {
    "matmul": lambda x, w: x @ w,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "exp": lambda x: jnp.exp(x),
    "x > 0": lambda x: x > 0,
    "max": lambda x: x.max(1),
    "argmax": lambda x: x.argmax(1),
    "softmax": lambda x: jax.nn.softmax(x, 1),
    "bert": lambda x, **given: bert(x, given),
    **{
        f"network {name}": lambda x, name=name, **given: network(name, x, given)
        for name in works.NETWORKS
    },
}


def config(profile=False):
    kind = getattr(libspu.ProtocolKind, PROTOCOL)
    settings = libspu.RuntimeConfig(kind, libspu.FieldType.FM64)
    settings.max_concurrency = 1
    settings.enable_pphlo_profile = profile
    return settings


def split(arrays):
    io, secret = Io(PARTIES, config()), libspu.Visibility.VIS_SECRET
    parts = [{} for _ in range(PARTIES)]
    for name, values in arrays.items():
        shares = io.make_shares(values.astype(np.float32), secret)
        for part, share in zip(parts, shares, strict=True):
            part[name] = (values.shape, share)
    return parts


def join(shares):
    return Io(PARTIES, config()).reconstruct(shares)


def open_party(rank, ports):
    desc = libspu.link.Desc()
    for party in range(PARTIES):
        desc.add_party(f"party {party}", f"127.0.0.1:{ports[party]}")
    link = libspu.link.create_brpc(desc, rank)
    plain, profiling = Runtime(link, config()), Runtime(link, config(profile=True))

    def prepare(kind, part):
        names = sorted(part)
        arguments = {name: np.zeros(part[name][0], np.float32) for name in names}
        secret = [libspu.Visibility.VIS_SECRET] * len(names)
        program, _ = frontend.compile(
            frontend.Kind.JAX, KINDS[kind], [], arguments, names, secret, lambda outputs: ["y"]
        )
        for runtime in (plain, profiling):
            for name in names:
                runtime.set_var(name, part[name][1])

        def costs():
            return counted(lambda: profiling.run(program))

        return lambda: plain.run(program), lambda: plain.get_var("y"), costs

    return prepare


def counted(run):
    """Of the profile on standard output: bytes sent, and messages for want of rounds."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            run()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        text = file.read().decode(errors="replace")
    found = re.search(r"total send bytes (\d+).*?send actions (\d+)", text)
    return {"bytes": int(found[1]), "rounds": int(found[2])} if found else {}


if __name__ == "__main__":
    serving.serve(KINDS, open_party, PARTIES, split, join)
