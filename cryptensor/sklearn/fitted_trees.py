# SPDX-License-Identifier: MIT
"""What a fitted model of trees is made of: its trees, where boosting starts, and its link."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedOperation
from .flattening import Tree, histogram_tree_of, tree_of
from .trees import EXPONENTIAL, IDENTITY, PROBABILITY, SIGMOID, SOFTMAX, mean_shift


class Parts(NamedTuple):
    trees: list[Tree]
    start: np.ndarray  # (outputs,) in the clear, empty where the sum starts at 0
    link: int


def parts_of(fitted: Any) -> Parts:
    """Of scikit-learn's trees, forests and boosted trees; UnsupportedOperation for what has none.

    Histogram-based boosting keeps its trees in private attributes, the same since version 1.0.
    """
    name = type(fitted).__name__
    classifies = hasattr(fitted, "classes_")
    if name.startswith("Hist"):
        return _histogram_parts(fitted, classifies)
    if getattr(fitted, "n_outputs_", 1) > 1 and (classifies or name.startswith("Gradient")):
        raise UnsupportedOperation(f"{name} with several outputs; encrypt one for each")
    if name.startswith("Gradient"):
        return _boosted_parts(fitted, classifies)
    link = PROBABILITY if classifies else IDENTITY
    members = [fitted] if name.startswith("Decision") else fitted.estimators_
    factor = mean_shift(len(members)) / len(members)
    return Parts([tree_of(tree, factor) for tree in members], np.zeros(0), link)


def _boosted_parts(fitted: Any, classifies: bool) -> Parts:
    if fitted.init is not None and fitted.init != "zero":
        raise UnsupportedOperation(f"init={fitted.init!r}; only None and 'zero' are constant")
    # The sigmoid of the exponential loss takes twice the score.
    factor = 2.0 if classifies and fitted.loss == "exponential" else 1.0
    trees, outputs = [], fitted.estimators_.shape[1]
    for stage in fitted.estimators_:
        trees += [
            _placed(tree_of(tree, factor * fitted.learning_rate), output, outputs)
            for output, tree in enumerate(stage)
        ]
    # The start is constant: what the model says of any row, less what its trees say.
    row = np.zeros((1, fitted.n_features_in_))
    said = fitted.decision_function(row) if classifies else fitted.predict(row)
    start = factor * np.asarray(said, dtype=np.float64).reshape(-1)
    start -= sum(_walked(tree, row[0]) for tree in trees)
    return Parts(trees, start, _class_link(outputs) if classifies else IDENTITY)


def _histogram_parts(fitted: Any, classifies: bool) -> Parts:
    if fitted.is_categorical_ is not None:
        raise UnsupportedOperation("categorical features; encode them as numbers")
    outputs = len(fitted._predictors[0])
    trees = [
        _placed(histogram_tree_of(tree), output, outputs)
        for stage in fitted._predictors
        for output, tree in enumerate(stage)
    ]
    start = np.asarray(fitted._baseline_prediction, dtype=np.float64).reshape(-1)
    if classifies:
        return Parts(trees, start, _class_link(outputs))
    exponential = fitted.loss in ("poisson", "gamma")
    return Parts(trees, start, EXPONENTIAL if exponential else IDENTITY)


def _class_link(outputs: int) -> int:
    return SIGMOID if outputs == 1 else SOFTMAX


def _placed(tree: Tree, output: int, outputs: int) -> Tree:
    """The tree with its values in one column of many."""
    values = np.zeros((len(tree.value), outputs))
    values[:, output] = tree.value[:, 0]
    return tree._replace(value=values)


def _walked(tree: Tree, row: np.ndarray) -> np.ndarray:
    node = 0
    while tree.left[node] >= 0:
        goes_left = row[tree.feature[node]] <= tree.threshold[node]
        node = int((tree.left if goes_left else tree.right)[node])
    values: np.ndarray = tree.value[node]
    return values
