# SPDX-License-Identifier: MIT
"""Metrics of secret predictions: a secret number or table, which is opened by reveal().

One of the two operands may be plain, and so public. Both have the same shape. Classes are numbers
from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..errors import ConfigError, ShapeError
from ..tensor import CrypTensor
from . import oracle
from .base import indicators


def accuracy_score(y_true: Any, y_pred: Any, *, normalize: bool = True) -> Any:
    """The share (or number) of equal class numbers. Cost: 4 rounds."""
    truth, predicted = _pair(y_true, y_pred)
    right = (truth == predicted).to(torch.float64)
    return oracle.given_back(right.mean() if normalize else right.sum())


def confusion_matrix(y_true: Any, y_pred: Any, *, n_classes: int) -> Any:
    """How many rows of class i were predicted as j: (n_classes, n_classes). Cost: 7 rounds."""
    if isinstance(n_classes, bool) or not isinstance(n_classes, int) or n_classes < 2:
        raise ConfigError(f"n_classes is {n_classes!r}; it must be an integer from 2")
    truth, predicted = _pair(y_true, y_pred)
    table = indicators(truth, n_classes).t() @ indicators(predicted, n_classes)
    return oracle.given_back(table)


def precision_score(y_true: Any, y_pred: Any) -> Any:
    """Of the rows predicted as 1, the share that is; 0 where none is. Cost: 18 rounds."""
    both, _, predicted = _positives(y_true, y_pred)
    return oracle.given_back(both / predicted)


def recall_score(y_true: Any, y_pred: Any) -> Any:
    """Of the rows that are 1, the share predicted as such; 0 where none is. Cost: 18 rounds."""
    both, true, _ = _positives(y_true, y_pred)
    return oracle.given_back(both / true)


def f1_score(y_true: Any, y_pred: Any) -> Any:
    """The harmonic mean of precision and recall of class 1. Cost: 18 rounds."""
    both, true, predicted = _positives(y_true, y_pred)
    return oracle.given_back(2 * both / (true + predicted))


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of squared differences. Cost: 4 rounds."""
    truth, predicted = _numbers(y_true, y_pred)
    return oracle.given_back((truth - predicted).square().mean())


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of absolute differences. Cost: 6 rounds."""
    truth, predicted = _numbers(y_true, y_pred)
    return oracle.given_back((truth - predicted).abs().mean())


def r2_score(y_true: Any, y_pred: Any) -> Any:
    """1 - squared errors / squared deviations, averaged over targets. Cost: 24 rounds."""
    truth, predicted = _numbers(y_true, y_pred)
    errors = (truth - predicted).square().mean(0)
    spread = (truth - truth.mean(0)).square().mean(0)
    return oracle.given_back(1 - (errors / spread).mean())


def log_loss(y_true: Any, y_prob: Any) -> Any:
    """The mean of -log of the probability of the true class.

    y_prob: (rows,) of class 1, or (rows, classes). Below 2^-14 a probability counts as that.
    Cost: 16 rounds.
    """
    truth, chances = _as_tensor(y_true), _as_tensor(y_prob)
    if truth.dim() != 1 or len(chances) != len(truth) or chances.dim() not in (1, 2):
        raise ShapeError(
            f"y_true has shape {tuple(truth.shape)} and y_prob {tuple(chances.shape)}; they must "
            "be (rows,) and (rows,) or (rows, classes)"
        )
    if chances.dim() == 1:
        chances = torch.stack([1 - chances, chances], 1)
    chosen = (indicators(truth, chances.shape[1]) * chances).sum(1)
    return oracle.given_back(-chosen.clamp(min=2.0**-14).log().mean())


def _positives(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    truth, predicted = (side == 1 for side in _pair(y_true, y_pred))
    sides = (truth & predicted, truth, predicted)
    both, true, positive = (side.to(torch.float64).sum() for side in sides)
    return both, true, positive


def _numbers(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    truth, predicted = _pair(y_true, y_pred)
    return truth.to(torch.float64), predicted.to(torch.float64)


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    truth, predicted = _as_tensor(y_true), _as_tensor(y_pred)
    if truth.shape != predicted.shape or not truth.numel():
        raise ShapeError(
            f"y_true has shape {tuple(truth.shape)} and y_pred {tuple(predicted.shape)}; they must "
            "be the same, and not empty"
        )
    return truth, predicted


def _as_tensor(y: Any) -> torch.Tensor:
    if isinstance(y, CrypTensor):
        return y
    array = np.asarray(y)
    return oracle.entered(array) if oracle.is_active() else torch.from_numpy(array)
