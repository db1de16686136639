# SPDX-License-Identifier: MIT
"""What all estimators have: scikit-learn's interface, and checks of what they are given.

Shapes and types are public, so bad ones are refused at every party alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import ConfigError, ShapeError
from ..tensor import CrypTensor
from . import oracle


class SecretEstimator(BaseEstimator):
    """An estimator whose data and attributes are secret tensors."""

    def _features(self, X: Any) -> torch.Tensor:  # noqa: N803  scikit-learn's name
        """The rows to predict for; a plain array is public."""
        check_is_fitted(self)
        if isinstance(X, CrypTensor):
            return secret_matrix(X, self.n_features_in_)
        array = validate_data(self, X, reset=False, dtype=np.float64)
        return oracle.entered(array) if oracle.is_active() else torch.from_numpy(array)

    def _training_features(self, X: Any) -> CrypTensor:  # noqa: N803
        if isinstance(X, CrypTensor):
            self.n_features_in_ = secret_matrix(X).shape[1]
            return secret_matrix(X)
        _refuse_public(self)
        return oracle.entered(validate_data(self, X, dtype=np.float64))

    def _training_data(self, X: Any, y: Any, **checks: Any) -> tuple[Any, Any]:  # noqa: N803
        """Features and targets; `checks` are scikit-learn's, for public arrays."""
        if isinstance(X, CrypTensor) or isinstance(y, CrypTensor):
            return self._secret_data(X, y)
        _refuse_public(self)
        rows, targets = validate_data(self, X, y, dtype=np.float64, **checks)
        if checks.get("y_numeric"):
            return oracle.entered(rows), oracle.entered(targets.astype(np.float64))
        return oracle.entered(rows), targets

    def _secret_data(self, X: Any, y: Any) -> tuple[Any, Any]:  # noqa: N803
        if y is None:
            raise ConfigError(f"{type(self).__name__}.fit requires y to be passed; y is None")
        if isinstance(X, CrypTensor):
            self.n_features_in_ = secret_matrix(X).shape[1]
            rows: Any = secret_matrix(X)
        else:
            rows = torch.from_numpy(validate_data(self, X, dtype=np.float64))
        if not isinstance(y, CrypTensor):
            y = torch.as_tensor(np.asarray(y))
        if y.dim() not in (1, 2) or len(y) != len(rows):
            raise ShapeError(
                f"y has shape {tuple(y.shape)} for {len(rows)} rows of X; it must be one value, or "
                "one row of targets, for each"
            )
        return rows, y

    def _given(self, values: Any) -> Any:
        return oracle.given_back(values)


def secret_matrix(x: CrypTensor, columns: int | None = None) -> CrypTensor:
    """x as numbers; ShapeError unless it has rows, and as many columns as are expected."""
    if x.dim() != 2 or not x.numel():
        raise ShapeError(
            f"X has shape {tuple(x.shape)}; it must be (rows, features) with at least one of each: "
            "reshape(-1, 1) makes a column"
        )
    if columns is not None and x.shape[1] != columns:
        raise ShapeError(f"X has {x.shape[1]} features; the estimator was fitted with {columns}")
    return x if x.dtype.is_floating_point else x.to(torch.float32)  # type: ignore[return-value]


def class_numbers(estimator: Any, y: Any, classes: Any) -> torch.Tensor:
    """The targets of a classifier as positions in `classes_`, which it sets.

    Secret targets are positions already; the public `classes` are two unless they are given.
    """
    if isinstance(y, CrypTensor):
        if y.dim() != 1:
            raise ShapeError(f"y has shape {tuple(y.shape)}; classes need one number for each row")
        estimator.classes_ = np.arange(2) if classes is None else np.asarray(classes)
        _check_classes(estimator)
        return y
    y = np.asarray(y)
    check_classification_targets(y)
    estimator.classes_ = unique_labels(y) if classes is None else np.asarray(classes)
    _check_classes(estimator)
    places = np.searchsorted(estimator.classes_, y).clip(max=len(estimator.classes_) - 1)
    if not np.array_equal(estimator.classes_[places], y):
        raise ConfigError(f"y has labels that are not in classes, {estimator.classes_.tolist()}")
    if oracle.is_active():
        return oracle.entered(places)
    return torch.from_numpy(places)


def _check_classes(estimator: Any) -> None:
    classes = estimator.classes_
    if classes.ndim == 1 and len(classes) == 1:
        raise ConfigError(f"{type(estimator).__name__} needs two classes at least; y has one class")
    if classes.ndim != 1 or not len(classes) or not np.array_equal(classes, np.unique(classes)):
        raise ConfigError(
            f"classes is {classes.tolist()}; they must be different and in ascending order"
        )


def indicators(numbers: torch.Tensor, count: int) -> torch.Tensor:
    """1 where the class number is that of the column: shape (rows, count)."""
    return (numbers.unsqueeze(1) == torch.arange(count)).to(torch.float64)


def labels(estimator: Any, numbers: torch.Tensor) -> Any:
    """Predicted class numbers; an oracle gives the labels themselves."""
    if oracle.is_active():
        return estimator.classes_[oracle.given_back(numbers)]
    return numbers


def check_number(estimator: Any, name: str, low: float, *, whole: bool = False) -> None:
    """ConfigError unless a parameter is a number of at least `low`."""
    value = getattr(estimator, name)
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value < 2**30:
        kind = "an integer" if whole else "a number"
        raise ConfigError(f"{name} is {value!r}; it must be {kind} from {low:g} to 2^30")


def _refuse_public(estimator: Any) -> None:
    if not oracle.is_active():
        raise ConfigError(
            f"{type(estimator).__name__} was given public data alone; make X or y secret with "
            "ct.cryptensor() or ct.sklearn.join(), or compute inside ct.sklearn.oracle()"
        )
