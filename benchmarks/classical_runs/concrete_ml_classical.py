# SPDX-License-Identifier: MIT
"""The works of benchmarks/classical.py on Concrete ML; runs in the environment of that peer.

Models are trained on the same rows by its own classes, whose plain results they are compared with.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

import concrete_ml_run
import numpy as np
import serving
import workloads
from concrete.ml.sklearn import LinearRegression, RandomForestRegressor
from concrete.ml.torch.compile import compile_torch_model

serving._NAMES.update({work.name: work for work in workloads.WORKS})


def _decoded(model):
    return lambda y: model.post_processing(model.dequantize_output(y))


def linear(x, train_x, train_y, **_):
    model = LinearRegression(n_bits=8).fit(train_x, train_y)
    model.compile(train_x)
    return model.fhe_circuit, model.quantize_input(x), _decoded(model)


def forest(x, train_x, train_y, train_trees, **_):
    if len(x) > 1:
        raise OverflowError("left out: minutes at this size")
    trees, depth = map(int, train_trees)
    model = RandomForestRegressor(
        n_bits=concrete_ml_run.BITS, n_estimators=trees, max_depth=depth, random_state=0
    ).fit(train_x, train_y)
    model.compile(train_x)
    return model.fhe_circuit, model.quantize_input(x), _decoded(model)


def network(name):
    def compiled(x, **given):
        if len(x) > 1:
            raise OverflowError("left out: minutes at this size")
        module = workloads.module_of(name, given).float()
        examples = np.random.default_rng(0).uniform(0, 1, (100, 1, 8, 8)).astype(np.float32)
        made = compile_torch_model(module, examples, n_bits=concrete_ml_run.BITS)
        return made.fhe_circuit, made.quantize_input(x.astype(np.float32)), made.dequantize_output

    return compiled


concrete_ml_run.KINDS.update(
    {
        "gelu": concrete_ml_run.function(workloads.FUNCTIONS["gelu"]),
        "linear": linear,
        "forest": forest,
        **{f"network {name}": network(name) for name in workloads.NETWORKS},
    }
)

if __name__ == "__main__":
    serving.serve(concrete_ml_run.KINDS, concrete_ml_run.open_party, parties=1)
