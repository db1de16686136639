# SPDX-License-Identifier: MIT
"""Least squares, with and without a penalty."""

from __future__ import annotations

from typing import Any, Self

import torch
from sklearn.base import MultiOutputMixin, RegressorMixin

from .base import SecretEstimator, check_number
from .descent import Design, minimised
from .metrics import r2_score


class LinearModel(SecretEstimator):
    """Scores X @ coef_ + intercept_."""

    coef_: Any
    intercept_: Any

    def _scores(self, X: Any) -> Any:  # noqa: N803
        rows = self._features(X)
        return rows @ self.coef_.t() + self.intercept_


class _Regressor(MultiOutputMixin, RegressorMixin, LinearModel):
    def _fit(self, X: Any, y: Any, alpha: float) -> Self:  # noqa: N803
        check_number(self, "max_iter", 1, whole=True)
        rows, targets = self._training_data(X, y, y_numeric=True, multi_output=True)
        table = targets.unsqueeze(1) if targets.dim() == 1 else targets
        design = Design(rows, self.fit_intercept, alpha)
        weights = minimised(design, lambda s: s - table, table.shape[1], 1.0, self.max_iter)
        self.coef_, self.intercept_ = design.original(weights)
        self.n_iter_ = self.max_iter
        if targets.dim() == 1:
            self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The secret targets. Cost: 2 rounds."""
        return self._given(self._scores(X))

    def score(self, X: Any, y: Any) -> Any:  # noqa: N803
        """The secret coefficient of determination."""
        return r2_score(y, self.predict(X))


class LinearRegression(_Regressor):
    """Least squares by preconditioned steps: about 190 rounds for 30 features and 10 steps.

    Attributes: coef_ (features,) or (targets, features), intercept_, n_iter_.
    The columns are brought to mean 0 and variance 1 first. Strongly correlated ones
    (eigenvalues of their correlations below 2^-10 / max_iter) get less weight than by
    scikit-learn, which changes coefficients more than predictions. Targets are best of the order of
    1: errors are of the order of 2^-14 for well-conditioned columns.
    """

    def __init__(self, *, fit_intercept: bool = True, max_iter: int = 10) -> None:
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> LinearRegression:  # noqa: N803
        return self._fit(X, y, 0.0)


class Ridge(_Regressor):
    """LinearRegression with alpha * |coef_|^2 added to the sum of squared errors."""

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, max_iter: int = 10
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> Ridge:  # noqa: N803
        check_number(self, "alpha", 0)
        return self._fit(X, y, float(self.alpha))


def thresholded(scores: Any) -> torch.Tensor:
    """Class numbers of decision scores (rows,) or (rows, classes)."""
    one = scores.dim() == 1
    numbers: torch.Tensor = (scores > 0).to(torch.int64) if one else scores.argmax(1)
    return numbers
