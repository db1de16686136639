# SPDX-License-Identifier: MIT
"""The works of benchmarks/classical.py on SecretFlow-SPU; runs in the environment of that peer."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

import jax.numpy as jnp
import serving
import spu_run
import workloads
import works

works.NETWORKS.update(workloads.NETWORKS)
serving._NAMES.update({work.name: work for work in workloads.WORKS})


def training(x, targets):
    """Steps of gradient descent, which suits columns of variance 1; matrices only."""
    rows = len(x)
    x, y = jnp.concatenate([x, jnp.ones((rows, 1))], 1), targets.reshape(rows, 1)
    weights = jnp.zeros((x.shape[1], 1))
    for _ in range(workloads.TRAINING_STEPS):
        weights = weights - x.T @ (x @ weights - y) * (0.7 / rows)
    return weights[:-1]


def forest(x, select, thresholds, paths, lefts, values):
    trees, nodes, leaves = paths.shape
    left = (x @ select < thresholds).astype(jnp.float32)
    left = left.reshape(-1, trees, nodes).transpose(1, 0, 2)
    # Whole numbers, which rounding may move a little: 0 or at least 1.
    reached = jnp.matmul(left, paths) + lefts[:, None] < 0.5
    return reached.transpose(1, 0, 2).reshape(-1, trees * leaves).astype(jnp.float32) @ values


def network(name):
    return lambda x, **given: spu_run.network(name, x, given)


spu_run.KINDS.update(
    {
        "linear": lambda x, w, b: x @ w + b,
        "training": training,
        "forest": forest,
        **{f"network {name}": network(name) for name in workloads.NETWORKS},
    }
)


def split(arrays):
    return spu_run.split({n: v for n, v in arrays.items() if not n.startswith("train")})


if __name__ == "__main__":
    serving.serve(spu_run.KINDS, spu_run.open_party, spu_run.PARTIES, split, spu_run.join)
