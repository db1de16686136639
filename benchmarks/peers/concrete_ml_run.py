# SPDX-License-Identifier: MIT
"""Concrete ML 1.9.0: fully homomorphic encryption by one server, which has the weights in clear.

Inputs are encrypted and keys made beforehand, as others have their inputs secret beforehand. What
others deal is here the making of the keys, in seconds, and what the server needs of them, in bytes;
bytes online are the encrypted input and result. Functions are tables over numbers of 6 bits.
"""

from __future__ import annotations

import functools
import time

import numpy as np
import serving
import works
from concrete import fhe

BITS = 6
SLOWEST = 100  # elements of a function: each takes tens of milliseconds


def function(apply):
    def compiled(x):
        scale = np.abs(x).max() / (2 ** (BITS - 1) - 1)
        low, high = (apply(np.array([bound], float)) for bound in (-x.max(), x.max()))
        step = max(abs(low[0]), abs(high[0])) / (2 ** (BITS - 1) - 1)
        grid = np.arange(-(2 ** (BITS - 1)), 2 ** (BITS - 1))
        table = np.round(apply(grid * scale) / step).astype(np.int64)
        lookup = fhe.LookupTable([*table[grid >= 0], *table[grid < 0]])
        whole = np.round(x / scale).astype(np.int64)
        circuit = fhe.Compiler(lambda x: lookup[x], {"x": "encrypted"}).compile(
            [whole, np.full_like(whole, grid[0]), np.full_like(whole, grid[-1])]
        )
        return circuit, whole, lambda y: y * step

    return compiled


def matmul(x, w):
    def quantized(values):
        scale = np.abs(values).max() / 127
        return np.round(values / scale).astype(np.int64), scale

    (x, x_scale), (w, w_scale) = quantized(x), quantized(w)
    ends = [x, np.full_like(x, 127), np.full_like(x, -127)]
    circuit = fhe.Compiler(lambda x: x @ w, {"x": "encrypted"}).compile(ends)
    return circuit, x, lambda y: y * x_scale * w_scale


def network(name, x, given):
    import torch
    from concrete.ml.torch.compile import compile_torch_model

    # What it imports is the older of torch's two exporters' form.
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)
    layers = []
    for i, layer in enumerate(works.NETWORKS[name]):
        if layer == "flatten":
            continue
        made = torch.nn.ReLU() if layer == "relu" else torch.nn.Linear(*layer)
        if layer != "relu":
            made.weight.data = torch.from_numpy(given[f"weight{i}"]).float()
            made.bias.data = torch.from_numpy(given[f"bias{i}"]).float()
        layers.append(made)
    x = x.reshape(len(x), -1).astype(np.float32)
    examples = np.random.default_rng(0).uniform(0, 1, (100, x.shape[1])).astype(np.float32)
    module = compile_torch_model(torch.nn.Sequential(*layers), examples, n_bits=BITS)
    return module.fhe_circuit, module.quantize_input(x), module.dequantize_output


KINDS = {
    "matmul": matmul,
    "relu": function(lambda x: np.maximum(x, 0)),
    "sigmoid": function(lambda x: 1 / (1 + np.exp(-x))),
    "network digits": lambda x, **given: network("digits", x, given),
}


def open_party(rank, ports):
    def prepare(kind, arrays):
        if (kind == "matmul" and len(arrays["x"]) > 100) or arrays["x"].size > 100 * SLOWEST:
            raise OverflowError("left out: minutes at this size")
        if kind in ("relu", "sigmoid") and arrays["x"].size > SLOWEST:
            raise OverflowError("left out: minutes at this size")
        circuit, whole, decode = KINDS[kind](**arrays)
        start = time.perf_counter()
        circuit.keygen()
        counted = {"dealer seconds": time.perf_counter() - start}
        encrypted = circuit.encrypt(whole)
        outcome = []

        def run():
            outcome[:] = [circuit.run(encrypted)]

        def costs():
            counted["bytes"] = sum(len(v.serialize()) for v in (encrypted, outcome[0]))
            counted["dealer bytes"] = len(circuit.keys.evaluation.serialize())
            return counted

        return run, lambda: decode(circuit.decrypt(outcome[0])), costs

    return prepare


if __name__ == "__main__":
    serving.serve(KINDS, open_party, parties=1)
