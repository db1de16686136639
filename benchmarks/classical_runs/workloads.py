# SPDX-License-Identifier: MIT
"""The works of benchmarks/classical.py: inputs, models and plain results.

The environments of the peers import this file for names and kinds; only the program itself makes
arrays, which takes scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]
TRAINING_STEPS = 20
TRAINING_ROWS = 512

# For scikit-learn's digits of 8 x 8; a triple is a convolution: channels in, out and its side.
NETWORKS = {
    "dense 64-32-10": ("flatten", (64, 32), "relu", (32, 10)),
    "dense 64-64-32-10": ("flatten", (64, 64), "relu", (64, 32), "relu", (32, 10)),
    "dense 64-128-64-32-10": (
        *("flatten", (64, 128), "relu", (128, 64), "relu"),
        *((64, 32), "relu", (32, 10)),
    ),
    "CNN 4-8": ((1, 4, 3), "relu", (4, 8, 3), "relu", "flatten", (128, 10)),
    "CNN 8-16": ((1, 8, 3), "relu", (8, 16, 3), "relu", "flatten", (256, 10)),
}


@dataclass(frozen=True)
class Work:
    """`kind` is what a system looks up. Of `arrays`, "x" and "targets" belong to one party, what
    begins with "train" to the trainer of a model in the clear, the rest to the other party.
    """

    name: str
    kind: str
    arrays: Callable[[], Arrays]
    plain: Callable[[Arrays], np.ndarray]


def _random() -> np.random.Generator:
    return np.random.default_rng(0)


def _matmul(n: int) -> Work:
    def arrays() -> Arrays:
        return {"x": _random().uniform(-3, 3, (n, n)), "w": _random().uniform(-3, 3, (n, n)).T}

    return Work(f"matmul {n} x {n}", "matmul", arrays, lambda given: given["x"] @ given["w"])


def _function(kind: str, plain: Callable, count: int) -> Work:
    def arrays() -> Arrays:
        return {"x": _random().uniform(-3, 3, count)}

    return Work(f"{kind}, {count} values", kind, arrays, lambda given: plain(given["x"]))


def _regression(features: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import make_regression

    rows, targets = make_regression(TRAINING_ROWS, features, noise=5, random_state=0)
    return rows, targets / targets.std()


def _fitted(features: int) -> tuple:
    from sklearn.linear_model import LinearRegression

    rows, targets = _regression(features)
    return rows, targets, LinearRegression().fit(rows, targets)


def _linear(features: int) -> Work:
    def arrays() -> Arrays:
        rows, targets, model = _fitted(features)
        return {
            "x": rows[:1],
            "w": model.coef_[:, None],
            "b": np.array([model.intercept_]),
            "train_x": rows,
            "train_y": targets,
        }

    name = f"linear regression, {features} features"
    return Work(name, "linear", arrays, lambda given: given["x"] @ given["w"] + given["b"])


def _training(features: int) -> Work:
    def arrays() -> Arrays:
        rows, targets = _regression(features)
        return {"x": rows, "targets": targets}

    def plain(given: Arrays) -> np.ndarray:
        from sklearn.linear_model import LinearRegression

        return LinearRegression().fit(given["x"], given["targets"]).coef_

    name = f"training of it, {TRAINING_ROWS} x {features}"
    return Work(name, "training", arrays, plain)


def _forest(trees: int, depth: int, batch: int = 1) -> Work:
    def arrays() -> Arrays:
        from sklearn.ensemble import RandomForestRegressor

        from cryptensor.sklearn.fitted_trees import parts_of
        from cryptensor.sklearn.flattening import flattened

        rows, targets = _regression(10)
        rows = np.round(rows * 2**12) / 2**12
        model = RandomForestRegressor(trees, max_depth=depth, random_state=0).fit(rows, targets)
        made = flattened(parts_of(model).trees, 16)
        return {
            "x": rows[:batch],
            "select": np.eye(10)[:, made.features],
            "thresholds": made.thresholds,
            "paths": made.paths.astype(np.float64),
            "lefts": made.lefts.astype(np.float64),
            "values": made.values * trees / 2 ** (trees - 1).bit_length() / trees,
            "train_x": rows,
            "train_y": targets,
            "train_trees": np.array([trees, depth]),
        }

    def plain(given: Arrays) -> np.ndarray:
        left = given["x"] @ given["select"] < given["thresholds"]
        trees, nodes, leaves = given["paths"].shape
        left = left.reshape(-1, trees, nodes).transpose(1, 0, 2)
        reached = left @ given["paths"] + given["lefts"][:, None] == 0
        return reached.transpose(1, 0, 2).reshape(-1, trees * leaves) @ given["values"]

    name = f"random forest, {trees} of depth {depth}, batch {batch}"
    return Work(name, "forest", arrays, plain)


def _network(name: str, batch: int) -> Work:
    def arrays() -> Arrays:
        from sklearn.datasets import load_digits

        random = _random()
        made = {"x": load_digits().images[:batch, None] / 16}
        for i, layer in enumerate(NETWORKS[name]):
            if isinstance(layer, tuple):
                window = layer[2:] * 2
                bound = math.sqrt(3 / (layer[0] * math.prod(window)))
                made[f"weight{i}"] = random.uniform(-bound, bound, (layer[1], layer[0], *window))
                made[f"bias{i}"] = random.uniform(-0.1, 0.1, layer[1])
        return made

    def plain(given: Arrays) -> np.ndarray:
        return module_of(name, given)(_tensor(given["x"])).detach().numpy()

    return Work(f"{name}, batch {batch}", f"network {name}", arrays, plain)


def module_of(name: str, given: Arrays):
    """A torch module in float64."""
    from torch import nn

    layers = []
    for i, layer in enumerate(NETWORKS[name]):
        if isinstance(layer, str):
            layers.append(nn.Flatten() if layer == "flatten" else nn.ReLU())
            continue
        made = nn.Linear(*layer) if len(layer) == 2 else nn.Conv2d(*layer)
        made.weight.data, made.bias.data = _tensor(given[f"weight{i}"]), _tensor(given[f"bias{i}"])
        layers.append(made)
    return nn.Sequential(*layers).eval()


def _tensor(values: np.ndarray):
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


FUNCTIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": _gelu,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
WORKS = [
    *map(_matmul, (2, 10, 50, 100, 200)),
    *(_function(*item, count) for item in FUNCTIONS.items() for count in (10, 100, 1000)),
    *map(_linear, (10, 50, 100)),
    *map(_training, (10, 50, 100)),
    _forest(10, 4),
    _forest(50, 4),
    _forest(10, 6),
    _forest(10, 4, batch=100),
    *(_network(name, 1) for name in NETWORKS),
    *(_network(name, 100) for name in NETWORKS),
]
