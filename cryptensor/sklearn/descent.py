# SPDX-License-Identifier: MIT
"""Minimising convex losses of a linear model of secret data, in a fixed number of steps.

All of them are sums of a loss of the rows' scores X w and a quadratic penalty, with a curvature
that is bounded by that of a public multiple of |X w|^2. The inverse of this bound, computed once,
preconditions every step (Böhning and Lindsay, 1988), so that scales and correlations of the columns
do not matter; Nesterov's momentum does the rest. Nothing is opened, hence no stopping rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from .spread import inverse_root, inverse_spread

# What is added to the diagonal of the scaled bound: directions that are weaker take more steps.
_FLOOR = 2.0**-10
# Gradients and bounds are averages times this, which keeps six more bits of them.
_SCALE = 64.0


class Design:
    """Columns with mean 0 and variance 1, and a column of ones: what the steps work on.

    A column whose variance is small beside the penalty of its weight, `alpha` / rows, is scaled by
    both together, so that no curvature is far from 1.
    """

    def __init__(self, rows: Any, fit_intercept: bool, alpha: float) -> None:
        self._mean = rows.mean(0) if fit_intercept else None
        centred = rows - self._mean if fit_intercept else rows
        self.count = len(rows)
        self._inverse = inverse_spread(centred.square().mean(0) + alpha / self.count)
        self._alpha = alpha
        self.columns = centred * self._inverse
        if fit_intercept:
            ones = torch.ones((self.count, 1), dtype=rows.dtype)
            self.columns = torch.cat([self.columns, ones], 1)

    def penalty(self) -> Any:
        """The factor of each squared weight, for alpha times those of the original columns."""
        factors = self._inverse.square() * self._alpha
        if self._mean is None:
            return factors
        return torch.cat([factors, torch.zeros(1, dtype=factors.dtype)])

    def original(self, weights: Any) -> tuple[Any, Any]:
        """Coefficients (targets, features) and intercepts of the original columns."""
        count = len(self._inverse)
        coefficients = (weights[:count] * self._inverse.unsqueeze(1)).t()
        if self._mean is None:
            return coefficients, torch.zeros(weights.shape[1], dtype=torch.float64)
        return coefficients, weights[count] - coefficients @ self._mean


def minimised(
    design: Design,
    residual: Callable[[Any], Any],
    targets: int,
    curvature: float,
    steps: int,
) -> Any:
    """Weights (columns, targets) that minimise the loss of the rows plus alpha / 2 * |w|^2.

    residual: derivative of each row's loss by its scores, both of shape (rows, targets).
    curvature: an upper bound of the second derivative.
    Cost: about 110 rounds, and 6 rounds a step besides those of `residual`.
    """
    columns, turned = design.columns, design.columns.t()
    size = columns.shape[1]
    # A power of two only moves the point: no rounding.
    average = _SCALE * 2.0 ** -math.ceil(math.log2(design.count))
    penalty = design.penalty()
    bound = (turned @ columns) * (curvature * average) + torch.diag(penalty) * average
    inverse = regularized_inverse(bound)
    weights = previous = columns.new_zeros((size, targets))
    penalty = penalty.unsqueeze(1)
    for step in range(steps):
        ahead = weights + (weights - previous) * (step / (step + 3))
        gradient = (turned @ residual(columns @ ahead) + penalty * ahead) * average
        weights, previous = ahead - inverse @ gradient, weights
    return weights


def regularized_inverse(matrix: Any) -> Any:
    """About the inverse of a positive matrix, for directions that are not too weak.

    The diagonal is scaled to 1 and 2^-10 added to it; the iteration of Newton and Schulz takes
    products alone, and starts at the reciprocal of the trace, which bounds every eigenvalue.
    """
    size = len(matrix)
    eye = torch.eye(size, dtype=torch.float64)
    scale = inverse_root(torch.diagonal(matrix).clamp(min=2.0**-16))
    scaled = (matrix * scale) * scale.unsqueeze(1) * (1 - eye) + eye * (1 + _FLOOR)
    inverse: Any = eye / size
    for _ in range(math.ceil(math.log2(size / _FLOOR)) + 2):
        inverse = inverse + inverse @ (eye - scaled @ inverse)
    return (inverse * scale) * scale.unsqueeze(1)
