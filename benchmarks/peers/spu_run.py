# SPDX-License-Identifier: MIT
"""SecretFlow-SPU 0.9.5, SEMI2K over 64 bits, 2 parties; `benchmarks/peers.py` runs this.

python3.11 -m venv DIR && DIR/bin/pip install spu==0.9.5 jax==0.4.34 jaxlib==0.4.34
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import serving
import spu.utils.frontend as frontend
from jax import lax
from spu import Io, Runtime, libspu

WINDOW = (1, 1, 2, 2)
WORKS = {
    "relu": jax.nn.relu,
    "x >= 0": lambda x: x >= 0,
    "x == 0": lambda x: x == 0,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "erf": jax.scipy.special.erf,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "silu": jax.nn.silu,
    "exp": jnp.exp,
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lax.rsqrt,
    "sqrt": jnp.sqrt,
    "log": jnp.log,
    "max of 1000 x 100": lambda x: x.max(1),
    "argmax of 1000 x 100": lambda x: x.argmax(1),
    "softmax 128 x 128": lambda x: jax.nn.softmax(x, 1),
    "sort of 10,000": jnp.sort,
    "max_pool2d 1x16x28x28, 2x2": lambda x: lax.reduce_window(
        x, -jnp.inf, lax.max, WINDOW, WINDOW, "VALID"
    ),
}


def config():
    settings = libspu.RuntimeConfig(libspu.ProtocolKind.SEMI2K, libspu.FieldType.FM64)
    settings.max_concurrency = 1
    return settings


def split(values):
    secret = libspu.Visibility.VIS_SECRET
    shares = Io(serving.PARTIES, config()).make_shares(values.astype(np.float32), secret)
    return [(values.shape, share) for share in shares]


def join(shares):
    return Io(serving.PARTIES, config()).reconstruct(shares)


def open_party(rank, ports):
    desc = libspu.link.Desc()
    for party, port in enumerate(ports):
        desc.add_party(f"party {party}", f"127.0.0.1:{port}")
    runtime = Runtime(libspu.link.create_brpc(desc, rank), config())

    def prepare(name, part):
        shape, share = part
        arguments = [np.zeros(shape, np.float32)], {}, ["x"], [libspu.Visibility.VIS_SECRET]
        kind, work = frontend.Kind.JAX, WORKS[name]
        program, _ = frontend.compile(kind, work, *arguments, lambda outputs: ["y"])
        runtime.set_var("x", share)
        return lambda: runtime.run(program), lambda: runtime.get_var("y")

    return prepare


if __name__ == "__main__":
    serving.serve(WORKS, open_party, split, join)
