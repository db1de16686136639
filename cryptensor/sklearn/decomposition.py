# SPDX-License-Identifier: MIT
"""Principal components by repeated squaring of the covariance."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from ..errors import ConfigError
from .base import SecretEstimator, check_number
from .spread import inverse_root


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SecretEstimator):
    """The directions of the largest variance, one after the other.

    Squaring the covariance again and again, brought to trace 1 each time, leaves the projection on
    its strongest direction: after k of them what is weaker by a factor q has q^(2^k) left, where k
    is `squarings`. The direction is then taken off. Signs are scikit-learn's: the largest entry is
    positive.

    Attributes: components_ (n_components, features), mean_, explained_variance_,
    explained_variance_ratio_, n_components_, n_samples_. Directions with less than about 2^-10 of
    the variance are noise. Variances must stay below 2^28 in sum.
    Cost of fit: for each component 17 rounds a squaring and about 75 more. Of transform: 3.
    """

    def __init__(self, n_components: int | None = None, *, squarings: int = 10) -> None:
        self.n_components = n_components
        self.squarings = squarings

    def fit(self, X: Any, y: Any = None) -> PCA:  # noqa: N803
        check_number(self, "squarings", 1, whole=True)
        rows = self._training_features(X)
        count, features = rows.shape
        most = min(count, features)
        if self.n_components is None:
            self.n_components_ = most
        else:
            check_number(self, "n_components", 1, whole=True)
            self.n_components_ = int(self.n_components)
        if count < 2 or self.n_components_ > most:
            raise ConfigError(
                f"n_components is {self.n_components!r} for n_samples={count} and "
                f"n_features={features}; it must be at most the smaller, with 2 samples at least"
            )
        self.n_samples_ = count
        self.mean_ = rows.mean(0)
        centred = rows - self.mean_
        covariance = (centred.t() @ centred) / (count - 1)
        total = torch.diagonal(covariance).sum()
        # Of trace 1, and with the units of the variances out of the way.
        left = covariance / total
        vectors, shares = [], []
        for _ in range(self.n_components_):
            vector = self._strongest(left)
            share = (left @ vector) @ vector
            left = left - torch.outer(vector * share, vector)
            vectors.append(vector)
            shares.append(share)
        self.components_ = torch.stack(vectors)
        self.explained_variance_ratio_ = torch.stack(shares)
        self.explained_variance_ = self.explained_variance_ratio_ * total
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        return self._given((self._features(X) - self.mean_) @ self.components_.t())

    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        """The rows (rows, features) that have these coordinates (rows, n_components)."""
        return self._given(X @ self.components_ + self.mean_)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _strongest(self, left: Any) -> Any:
        power = left / torch.diagonal(left).sum()
        for _ in range(self.squarings):
            power = power @ power
            power = power / torch.diagonal(power).sum()
        weights = torch.diagonal(power)
        # The column of its largest entry has no cancellation, and gives that entry a positive sign.
        chosen = torch.nn.functional.one_hot(weights.argmax(), len(left)).to(torch.float64)
        vector = (power @ chosen) * inverse_root((weights * chosen).sum())
        vector = left @ vector  # one more step, in numbers that have not been squared
        vector = vector * inverse_root(vector.square().sum())
        return vector * (3 - vector.square().sum()) / 2
