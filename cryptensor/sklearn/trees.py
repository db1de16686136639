# SPDX-License-Identifier: MIT
"""Estimators made of trees. Single trees can be trained; the others come from encrypt()."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin

from ..errors import UnsupportedOperation
from .base import SecretEstimator, check_number, class_numbers, indicators, labels
from .forest import Forest
from .histogram import check_binning, grown
from .linear import thresholded
from .metrics import accuracy_score, r2_score

# What becomes of the sum of the leaves.
IDENTITY, EXPONENTIAL, PROBABILITY, SIGMOID, SOFTMAX = range(5)


class _Trees(SecretEstimator):
    forest_: Forest
    # Set by encrypt(): how the sum becomes the result, and the secret start of boosting.
    _link = IDENTITY
    _start: Any = None
    _averages = False

    def _sums(self, X: Any) -> Any:  # noqa: N803
        rows = self._features(X)  # first: it says where a model was not fitted
        sums = self.forest_.sums(rows)
        if self._averages:
            sums = sums / mean_shift(len(self.forest_.paths))
        return sums if self._start is None else sums + self._start


def mean_shift(trees: int) -> int:
    """A power of two, by which a division is exact; the owner has scaled the leaves by the rest."""
    return 1 << (trees - 1).bit_length()


class _Regressor(RegressorMixin, _Trees):
    def predict(self, X: Any) -> Any:  # noqa: N803
        """Secret targets. Cost: see Forest.sums."""
        sums = self._sums(X)
        sums = sums.squeeze(1) if sums.shape[1] == 1 else sums
        return self._given(sums.exp() if self._link == EXPONENTIAL else sums)

    def score(self, X: Any, y: Any) -> Any:  # noqa: N803
        """The secret coefficient of determination."""
        return r2_score(y, self.predict(X))


class _Classifier(ClassifierMixin, _Trees):
    classes_: Any
    _link = PROBABILITY

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Secret class numbers: positions in classes_."""
        sums = self._sums(X)
        return labels(self, thresholded(sums.squeeze(1) if sums.shape[1] == 1 else sums))

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Secret probabilities (rows, classes)."""
        sums = self._sums(X)
        if self._link == SOFTMAX:
            return self._given(sums.softmax(1))
        if self._link == SIGMOID:
            positive = torch.sigmoid(sums)
            return self._given(torch.cat([1 - positive, positive], 1))
        return self._given(sums)

    def score(self, X: Any, y: Any) -> Any:  # noqa: N803
        """The secret share of right predictions; y holds class numbers."""
        return accuracy_score(y, self.predict(X))


class _Grown:
    """Parameters and training of a single tree."""

    def __init__(
        self, *, max_depth: int = 3, max_bins: int = 16, binning: str = "quantile"
    ) -> None:
        self.max_depth = max_depth
        self.max_bins = max_bins
        self.binning = binning

    def _check(self) -> None:
        check_number(self, "max_depth", 1, whole=True)
        check_number(self, "max_bins", 2, whole=True)
        check_binning(self.binning)

    def _grow(self: Any, rows: Any, targets: Any) -> None:
        self.forest_ = grown(rows, targets, self.max_depth, self.max_bins, self.binning)


class DecisionTreeRegressor(_Grown, _Regressor):
    """A tree of exactly max_depth levels; each split is the one that lowers the variance most.

    Candidates are max_bins - 1 thresholds for each column: binning="quantile" takes them from the
    sorted column, "uniform" spaces them evenly between its ends, which is cheaper. Thresholds,
    histograms, gains and the chosen splits are all secret; the shape of the tree says nothing.
    Gains are right to a relative 2^-11, so that nearly equal splits may be chosen otherwise than by
    scikit-learn. Sums of targets must stay below 2^15.

    Attributes: forest_. Cost of fit: about 80 rounds a level, and those of the thresholds: a sort
    of the column, or two maxima.
    """

    def fit(self, X: Any, y: Any) -> DecisionTreeRegressor:  # noqa: N803
        self._check()
        rows, targets = self._training_data(X, y, y_numeric=True)
        self._grow(rows, targets.unsqueeze(1) if targets.dim() == 1 else targets)
        return self


class DecisionTreeClassifier(_Grown, _Classifier):
    """As DecisionTreeRegressor, with the splits that lower the Gini impurity most.

    Attributes: classes_ (public), forest_.
    """

    def fit(self, X: Any, y: Any, *, classes: Any = None) -> DecisionTreeClassifier:  # noqa: N803
        """classes: the public labels of secret class numbers; two of them by default."""
        self._check()
        rows, targets = self._training_data(X, y)
        numbers = class_numbers(self, targets, classes)
        self._grow(rows, indicators(numbers, len(self.classes_)))
        return self


class _Encrypted:
    """What is trained in the clear and only predicts here."""

    def fit(self, X: Any, y: Any) -> NoReturn:  # noqa: N803
        name = type(self).__name__
        raise UnsupportedOperation(
            f"{name}.fit: train scikit-learn's {name} in the clear and ct.sklearn.encrypt() it, or "
            "train a DecisionTree on secrets"
        )


class RandomForestRegressor(_Encrypted, _Regressor):
    """The mean of the trees of an encrypted forest."""

    _averages = True


class RandomForestClassifier(_Encrypted, _Classifier):
    """The mean of the class probabilities of the trees of an encrypted forest."""

    _averages = True


class ExtraTreesRegressor(RandomForestRegressor):
    """As RandomForestRegressor."""


class ExtraTreesClassifier(RandomForestClassifier):
    """As RandomForestClassifier."""


class GradientBoostingRegressor(_Encrypted, _Regressor):
    """The sum of encrypted boosted trees."""


class _Boosted(_Encrypted, _Classifier):
    def decision_function(self, X: Any) -> Any:  # noqa: N803
        """Secret scores: (rows,) for two classes, else (rows, classes)."""
        sums = self._sums(X)
        return self._given(sums.squeeze(1) if sums.shape[1] == 1 else sums)


class GradientBoostingClassifier(_Boosted):
    """Classes by the sums of encrypted boosted trees."""


class HistGradientBoostingRegressor(GradientBoostingRegressor):
    """As GradientBoostingRegressor."""


class HistGradientBoostingClassifier(GradientBoostingClassifier):
    """As GradientBoostingClassifier."""


def labels_of(fitted: Any) -> np.ndarray:
    """Integer labels of a classifier, which become public; positions instead of other labels."""
    classes = np.asarray(getattr(fitted, "classes_", ()))
    whole = classes.dtype.kind in "biu" and not (np.abs(classes.astype(np.float64)) > 2**40).any()
    return classes.astype(np.int64) if whole else np.arange(len(classes))
