# SPDX-License-Identifier: MIT
"""Means and spreads of secret columns, and the scaler made of them."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from .base import SecretEstimator


def inverse_root(x: Any) -> Any:
    """1 / sqrt(x) for x of at least 2^-16, with a step of Newton's method after the series.

    The error is a unit, and a relative 2^-21 for the x whose root is no larger than 1. Cost: 13
    rounds.
    """
    y = torch.rsqrt(x)
    # The square of y may be large and x small: first the product that is about the root of x.
    return y + y * (1 - (x * y) * y) / 2


def inverse_spread(variance: Any) -> Any:
    """1 / standard deviation; 2^8 for a column that is constant."""
    return inverse_root(variance.clamp(min=2.0**-16))


class StandardScaler(OneToOneFeatureMixin, TransformerMixin, SecretEstimator):
    """Columns with mean 0 and variance 1; a constant column becomes 0, to 2^-6.

    Attributes: mean_, var_, scale_ (None where with_mean or with_std is False), n_samples_seen_.
    Columns whose standard deviation is below 2^-10 count as constant. The relative error of a scale
    is about 2^-16 times the standard deviation.
    Cost of fit: about 50 rounds. Of transform: 3 rounds.
    """

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean = with_mean
        self.with_std = with_std

    def fit(self, X: Any, y: Any = None) -> StandardScaler:  # noqa: N803
        rows = self._training_features(X)
        self.n_samples_seen_ = len(rows)
        mean = rows.mean(0)
        mean = mean + (rows - mean).mean(0)  # what 1 / rows was rounded by
        self.mean_: Any = mean if self.with_mean or self.with_std else None
        self.var_ = self.scale_ = self._inverse = None
        if self.with_std:
            centred = rows - mean
            self.var_ = centred.square().mean(0)
            # Once more of columns that are about 1: the variance of small ones has few bits.
            rough = self.var_.clamp(min=2.0**-16)
            first = inverse_root(rough)
            fine = (centred * first).square().mean(0).clamp(min=2.0**-4)
            second = inverse_root(fine)
            self._inverse = first * second
            self.scale_ = (rough * first) * (fine * second)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        rows = self._features(X)
        if self.with_mean:
            rows = rows - self.mean_
        return self._given(rows if self._inverse is None else rows * self._inverse)

    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        rows = self._features(X)
        if self.scale_ is not None:
            rows = rows * self.scale_
        return self._given(rows + self.mean_ if self.with_mean else rows)
