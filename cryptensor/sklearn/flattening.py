# SPDX-License-Identifier: MIT
"""Trees of fitted scikit-learn models as the arrays of a Forest, in the clear at their owner."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigError, UnsupportedOperation

# Two such tables of 64-bit numbers fill a GiB.
_MAX_PATHS = 2**26
_FAR = 2.0**40


class Tree(NamedTuple):
    """Nodes in scikit-learn's form; a child below 0 marks a leaf."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray  # (nodes, outputs)


class Arrays(NamedTuple):
    """The fields of Forest, with the numbers of features instead of `select`."""

    features: np.ndarray
    thresholds: np.ndarray
    paths: np.ndarray
    lefts: np.ndarray
    values: np.ndarray
    depth: int


def tree_of(fitted: Any, factor: float = 1.0) -> Tree:
    """Of a decision tree of scikit-learn; values are multiplied by `factor`."""
    t = fitted.tree_
    values = t.value[:, 0, :] if t.n_outputs == 1 else t.value[:, :, 0]
    return Tree(t.children_left, t.children_right, t.feature, t.threshold, values * factor)


def histogram_tree_of(predictor: Any) -> Tree:
    """Of a tree of histogram-based gradient boosting; UnsupportedOperation for categories."""
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    if nodes["is_categorical"].any():
        raise UnsupportedOperation("trees that split by categories; encode them as numbers")
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    values = nodes["value"][:, None]
    return Tree(left, right, nodes["feature_idx"], nodes["num_threshold"], values)


def flattened(trees: list[Tree], precision: int) -> Arrays:
    """Trees side by side, filled up to one size."""
    ways = [_ways(tree) for tree in trees]
    nodes = max(1, *(int((tree.left >= 0).sum()) for tree in trees))
    leaves = max(len(way) for way in ways)
    depth = max(1, *(len(path) for way in ways for _, path in way))
    count = len(trees)
    if count * nodes * leaves > _MAX_PATHS:
        raise ConfigError(
            f"the model has {count} trees of up to {nodes} nodes and {leaves} leaves; their "
            f"product must be at most {_MAX_PATHS}: limit max_leaf_nodes or max_depth"
        )
    features = np.zeros((count, nodes), dtype=np.int64)
    thresholds = np.zeros((count, nodes))
    paths = np.zeros((count, nodes, leaves), dtype=np.int64)
    lefts = np.ones((count, leaves), dtype=np.int64)
    values = np.zeros((count, leaves, trees[0].value.shape[1]))
    for at, (tree, way) in enumerate(zip(trees, ways, strict=True)):
        inner = np.flatnonzero(tree.left >= 0)
        place = {int(node): number for number, node in enumerate(inner)}
        features[at, : len(inner)] = tree.feature[inner]
        thresholds[at, : len(inner)] = _strict(tree.threshold[inner], precision)
        for leaf, (node, path) in enumerate(way):
            values[at, leaf] = tree.value[node]
            lefts[at, leaf] = sum(goes_left for _, goes_left in path)
            for above, goes_left in path:
                paths[at, place[above], leaf] = -1 if goes_left else 1
    flat = values.reshape(count * leaves, -1)
    return Arrays(features.reshape(-1), thresholds.reshape(-1), paths, lefts, flat, depth)


def _ways(tree: Tree) -> list[tuple[int, list[tuple[int, bool]]]]:
    """Each leaf, with the nodes above it and whether the way goes left there."""
    found = []
    open_ways: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
    while open_ways:
        node, path = open_ways.pop()
        if tree.left[node] < 0:
            found.append((node, path))
            continue
        open_ways.append((int(tree.left[node]), [*path, (node, True)]))
        open_ways.append((int(tree.right[node]), [*path, (node, False)]))
    return found


def _strict(thresholds: np.ndarray, precision: int) -> np.ndarray:
    """t' with x < t' where x <= t, for all x of the encoding."""
    unit = 2.0**-precision
    return np.clip(np.floor(thresholds / unit) * unit + unit, -_FAR, _FAR)
