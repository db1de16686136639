# SPDX-License-Identifier: MIT
"""The works that all systems do: inputs, weights and results in float64. NumPy only.

Every system's environment imports this file, so that all of them do the same: the arrays come from
fixed seeds, and a network is a list of layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]
MANY = (100_000,)
HEADS = 12
EPSILON = 1e-12

# M. Dahl et al., Private Machine Learning in TensorFlow using Secure Computation, 2018, Table 1,
# without batch norm, which has no work left once it is folded into the layer before. "digits" is
# for scikit-learn's images of 8 x 8.
NETWORKS = {
    "A": ("flatten", (784, 128), "relu", (128, 128), "relu", (128, 10)),
    "B": (
        *((1, 16, 5), "relu", "pool", (16, 16, 5), "relu", "pool", "flatten"),
        *((256, 100), "relu", (100, 10)),
    ),
    "C": (
        *((1, 20, 5), "relu", "pool", (20, 50, 5), "relu", "pool", "flatten"),
        *((800, 500), "relu", (500, 10)),
    ),
    "digits": ("flatten", (64, 32), "relu", (32, 10)),
}


@dataclass(frozen=True)
class Work:
    """`kind` is what a system looks up; all inputs are secret unless the system has no such form.

    `given` makes the arrays; "x" is the input and all others belong to the other party. `plain`
    is the result in float64. `whole`: results are whole numbers and any other one is wrong.
    """

    name: str
    kind: str
    given: Callable[[np.random.Generator], Arrays]
    plain: Callable[[Arrays], np.ndarray]
    whole: bool = False

    def arrays(self) -> Arrays:
        """Numbers with 12 fraction bits, which every system encodes exactly."""
        made = self.given(np.random.default_rng(len(self.name)))
        return {name: np.round(value * 2**12) / 2**12 for name, value in made.items()}


def _uniform(shape: tuple[int, ...], low: float = -3.0) -> Callable[[np.random.Generator], Arrays]:
    return lambda generator: {"x": generator.uniform(low, 3.0, shape)}


def _elementwise(kind: str, plain: Callable, size: int = MANY[0], **options) -> Work:
    return Work(
        f"{kind}, {size:,}", kind, _uniform((size,)), lambda given: plain(given["x"]), **options
    )


def _matmul(n: int) -> Work:
    def given(generator: np.random.Generator) -> Arrays:
        return {"x": generator.uniform(-3, 3, (n, n)), "w": generator.uniform(-3, 3, (n, n))}

    return Work(f"matmul {n} x {n}", "matmul", given, lambda given: given["x"] @ given["w"])


def _rows(kind: str, plain: Callable, shape: tuple[int, int], **options) -> Work:
    def given(generator: np.random.Generator) -> Arrays:
        x = generator.uniform(-3, 3, shape)
        # argmax without ties, which some systems break at random.
        return {"x": x.argsort(1) / 16 - 3.0 if kind == "argmax" else x}

    name = f"{kind} of {shape[0]} x {shape[1]}"
    return Work(name, kind, given, lambda given: plain(given["x"]), **options)


def _network(name: str, batch: int) -> Work:
    side = 8 if name == "digits" else 28

    def given(generator: np.random.Generator) -> Arrays:
        made = {"x": generator.uniform(0, 1, (batch, 1, side, side))}
        for i, layer in enumerate(NETWORKS[name]):
            if isinstance(layer, tuple):
                inputs = layer[0] * math.prod(layer[2:] * 2)
                outward = (layer[1], layer[0], *layer[2:] * 2)
                bound = math.sqrt(3 / inputs)
                made[f"weight{i}"] = generator.uniform(-bound, bound, outward)
                made[f"bias{i}"] = generator.uniform(-0.1, 0.1, layer[1])
        return made

    title = f"network {name}, batch {batch}" if side == 28 else f"net 64-32-10, batch {batch}"
    return Work(title, f"network {name}", given, lambda given: network(name, given))


def network(name: str, given: Arrays) -> np.ndarray:
    x = given["x"]
    for i, layer in enumerate(NETWORKS[name]):
        if layer == "flatten":
            x = x.reshape(len(x), -1)
        elif layer == "relu":
            x = np.maximum(x, 0)
        elif layer == "pool":
            n, c, h, w = x.shape
            x = x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
        elif len(layer) == 2:
            x = x @ given[f"weight{i}"].T + given[f"bias{i}"]
        else:
            windows = np.lib.stride_tricks.sliding_window_view(x, layer[2:] * 2, (2, 3))
            x = np.tensordot(windows, given[f"weight{i}"], ((1, 4, 5), (1, 2, 3)))
            x = x.transpose(0, 3, 1, 2) + given[f"bias{i}"][:, None, None]
    return x


def _bert_layer(generator: np.random.Generator, hidden: int = 768, length: int = 128) -> Arrays:
    made = {"x": generator.normal(0, 1, (length, hidden))}
    sizes = {"q": hidden, "k": hidden, "v": hidden, "o": hidden, "up": 4 * hidden}
    for name, outward in sizes.items():
        made[f"w{name}"] = generator.normal(0, 0.02, (hidden, outward))
        made[f"b{name}"] = generator.normal(0, 0.02, outward)
    made["wdown"] = generator.normal(0, 0.02, (4 * hidden, hidden))
    made["bdown"] = generator.normal(0, 0.02, hidden)
    return made


def _bert(given: Arrays) -> np.ndarray:
    """An encoder layer: attention of 12 heads, exact GELU, layer norms of weight 1 and bias 0."""

    def normalized(x: np.ndarray) -> np.ndarray:
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPSILON)

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ given[f"w{name}"] + given[f"b{name}"]

    x = given["x"]
    length, hidden = x.shape
    q, k, v = (
        linear(x, name).reshape(length, HEADS, hidden // HEADS).swapaxes(0, 1) for name in "qkv"
    )
    weights = _softmax(q @ k.swapaxes(1, 2) / math.sqrt(hidden // HEADS))
    x = normalized(x + linear((weights @ v).swapaxes(0, 1).reshape(length, hidden), "o"))
    return normalized(x + linear(_gelu(linear(x, "up")), "down"))


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


WORKS = [
    *map(_matmul, (10, 100, 256, 1024)),
    _elementwise("relu", _relu, 100),
    _elementwise("relu", _relu),
    _elementwise("sigmoid", _sigmoid, 100),
    _elementwise("sigmoid", _sigmoid),
    _elementwise("gelu", _gelu),
    _elementwise("exp", np.exp),
    _elementwise("x > 0", lambda x: x > 0, whole=True),
    _rows("max", lambda x: x.max(1), (1000, 100)),
    _rows("argmax", lambda x: x.argmax(1), (1000, 100), whole=True),
    _rows("softmax", _softmax, (128, 128)),
    *(_network(name, batch) for name in "ABC" for batch in (1, 100)),
    _network("digits", 1),
    Work("BERT-base layer, sequence 128", "bert", _bert_layer, _bert),
]
