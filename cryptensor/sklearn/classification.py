# SPDX-License-Identifier: MIT
"""Linear classifiers: logistic regression and support vectors."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import ClassifierMixin

from .base import check_number, class_numbers, indicators, labels
from .descent import Design, minimised
from .linear import LinearModel, thresholded
from .metrics import accuracy_score


class _Classifier(ClassifierMixin, LinearModel):
    classes_: Any

    def decision_function(self, X: Any) -> Any:  # noqa: N803
        """Secret scores: (rows,) for two classes, else (rows, classes)."""
        return self._given(self._decisions(X))

    def _decisions(self, X: Any) -> Any:  # noqa: N803
        scores = self._scores(X)
        return scores.squeeze(1) if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Secret class numbers: positions in classes_."""
        return labels(self, thresholded(self._decisions(X)))

    def score(self, X: Any, y: Any) -> Any:  # noqa: N803
        """The secret share of right predictions; y holds class numbers."""
        return accuracy_score(y, self.predict(X))


class LogisticRegression(_Classifier):
    """Logistic regression with an L2 penalty of 1 / C, softmax for three and more classes.

    Attributes: classes_ (public), coef_ (1 or classes, features), intercept_, n_iter_.
    max_iter steps are always made: nobody sees whether fewer would have done. A step takes about 12
    rounds with two classes and 24 with three, and the start about 110.
    """

    def __init__(
        self,
        C: float = 1.0,  # noqa: N803  scikit-learn's name
        *,
        fit_intercept: bool = True,
        max_iter: int = 100,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, *, classes: Any = None) -> LogisticRegression:  # noqa: N803
        """classes: the public labels of secret class numbers; two of them by default."""
        check_number(self, "C", 2.0**-16)
        check_number(self, "max_iter", 1, whole=True)
        rows, targets = self._training_data(X, y)
        numbers = class_numbers(self, targets, classes)
        count = len(self.classes_)
        design = Design(rows, self.fit_intercept, 1 / self.C)
        if count == 2:
            wanted: Any = numbers.to(torch.float64).unsqueeze(1)
            weights = minimised(design, lambda s: torch.sigmoid(s) - wanted, 1, 0.25, self.max_iter)
        else:
            wanted = indicators(numbers, count)
            weights = minimised(design, lambda s: s.softmax(1) - wanted, count, 0.5, self.max_iter)
        self.coef_, self.intercept_ = design.original(weights)
        self.n_iter_ = self.max_iter
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Secret probabilities (rows, classes)."""
        scores = self._scores(X)
        if scores.shape[1] > 1:
            return self._given(scores.softmax(1))
        positive = torch.sigmoid(scores)
        return self._given(torch.cat([1 - positive, positive], 1))


class LinearSVC(_Classifier):
    """Linear support vector machine with the squared hinge loss, one against the rest.

    Attributes: classes_ (public), coef_ (1 or classes, features), intercept_, n_iter_.
    Unlike scikit-learn's, the intercept is not penalised. max_iter steps are always made, of about
    13 rounds, after about 110 at the start.
    """

    def __init__(
        self,
        *,
        C: float = 1.0,  # noqa: N803  scikit-learn's name
        fit_intercept: bool = True,
        max_iter: int = 100,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, *, classes: Any = None) -> LinearSVC:  # noqa: N803
        """classes: the public labels of secret class numbers; two of them by default."""
        check_number(self, "C", 2.0**-16)
        check_number(self, "max_iter", 1, whole=True)
        rows, targets = self._training_data(X, y)
        numbers = class_numbers(self, targets, classes)
        count = len(self.classes_)
        wanted: Any = numbers.unsqueeze(1) if count == 2 else indicators(numbers, count)
        signs = wanted.to(torch.float64) * 2 - 1
        design = Design(rows, self.fit_intercept, 0.5 / self.C)
        weights = minimised(
            design,
            lambda scores: -signs * torch.relu(1 - signs * scores),
            signs.shape[1],
            1.0,
            self.max_iter,
        )
        self.coef_, self.intercept_ = design.original(weights)
        self.n_iter_ = self.max_iter
        return self
