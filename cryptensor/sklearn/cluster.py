# SPDX-License-Identifier: MIT
"""k-means: Lloyd's steps, all of them secret."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import ClusterMixin, TransformerMixin

from ..errors import ConfigError, ShapeError
from . import oracle
from .base import SecretEstimator, check_number


class KMeans(TransformerMixin, ClusterMixin, SecretEstimator):
    """k-means in max_iter steps, which are always made.

    init: "k-means++" (a row is drawn with a secret probability, its squared distance to the nearest
      centre, from public random numbers), "random" (rows at public random positions), or a public
      array (n_clusters, features).
    random_state: None draws from the parties' common coin; an integer, equal at all parties,
      repeats a run.

    Attributes: cluster_centers_, labels_ (class numbers), inertia_, n_iter_. A cluster without rows
    keeps its centre. Squared distances must stay below 2^30 / rows.
    Cost of fit: 12 rounds a centre for k-means++; a step takes 26 rounds for 3 centres and 31 for
    8. Of predict: 11 for 3. Data of one owner are clustered by that party alone, without a round.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        max_iter: int = 20,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> KMeans:  # noqa: N803
        check_number(self, "n_clusters", 1, whole=True)
        check_number(self, "max_iter", 1, whole=True)
        rows: Any = self._training_features(X)
        if len(rows) < self.n_clusters:
            raise ConfigError(
                f"n_clusters is {self.n_clusters}; it must be at most n_samples={len(rows)}"
            )
        # Around the mean distances are small numbers.
        mean = rows.mean(0)
        rows = rows - mean
        centers = self._start(rows, mean)
        for _ in range(self.max_iter):
            member = _members(rows, centers)
            counts = member.sum(0).unsqueeze(1)
            # A step instead of a new mean: its relative error vanishes with it.
            centers = centers + (member.t() @ rows - counts * centers) / counts
        nearest, numbers = _distances(rows, centers).min(1)
        self.inertia_ = self._given((nearest + rows.square().sum(1)).sum())
        self.labels_ = self._given(numbers)
        self.cluster_centers_ = centers + mean
        self.n_iter_ = self.max_iter
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The number of the nearest centre."""
        rows = self._features(X)
        return self._given(_distances(rows - self._middle(), self._moved()).argmin(1))

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Distances to the centres (rows, n_clusters)."""
        rows = self._features(X) - self._middle()
        squares = _distances(rows, self._moved()) + rows.square().sum(1, keepdim=True)
        return self._given(torch.relu(squares).sqrt())

    def score(self, X: Any, y: Any = None) -> Any:  # noqa: N803
        """Minus the sum of squared distances to the nearest centres."""
        rows = self._features(X) - self._middle()
        nearest = _distances(rows, self._moved()).amin(1) + rows.square().sum(1)
        return self._given(-nearest.sum())

    def _middle(self) -> Any:
        return self.cluster_centers_.mean(0)

    def _moved(self) -> Any:
        return self.cluster_centers_ - self._middle()

    def _start(self, rows: Any, mean: Any) -> Any:
        if not isinstance(self.init, str):
            start = torch.as_tensor(np.asarray(self.init, dtype=np.float64))
            wanted = (self.n_clusters, rows.shape[1])
            if tuple(start.shape) != wanted:
                raise ShapeError(f"init has shape {tuple(start.shape)}; it must be {wanted}")
            return start - mean
        drawn = self._random_numbers(rows)
        if self.init == "random":
            return rows[torch.argsort(drawn)[: self.n_clusters]]
        if self.init != "k-means++":
            raise ConfigError(
                f"init is {self.init!r}; it must be 'k-means++', 'random' or an array"
            )
        return _spread_out(rows, self.n_clusters, drawn)

    def _random_numbers(self, rows: Any) -> torch.Tensor:
        """A public number for each row, the same at all parties."""
        if self.random_state is None and not oracle.is_active():
            return torch.as_tensor(torch.rand_like(rows[:, 0]))
        state = self.random_state
        if not isinstance(state, np.random.RandomState):
            state = np.random.RandomState(state)
        return torch.from_numpy(state.random_sample(len(rows)))


def _distances(rows: Any, centers: Any) -> Any:
    """Squared distances less the squared length of the row: (rows, centers)."""
    return centers.square().sum(1) - 2 * (rows @ centers.t())


def _members(rows: Any, centers: Any) -> Any:
    """1 where a row belongs to a centre."""
    nearest = _distances(rows, centers).argmin(1)
    return torch.nn.functional.one_hot(nearest, len(centers)).to(torch.float64)


def _spread_out(rows: Any, count: int, drawn: torch.Tensor) -> Any:
    """k-means++ (Arthur and Vassilvitskii, 2007): the running sum finds the row that is drawn."""
    first = int(drawn[-1] * len(rows))
    centers = rows[first : first + 1]
    squares = None
    for number in drawn[: count - 1] if count > 1 else []:
        latest = (rows - centers[-1]).square().sum(1)
        squares = latest if squares is None else torch.minimum(squares, latest)
        running = squares.cumsum(0)
        before = (running <= running[-1] * float(number)).to(torch.float64)
        # 1 for all rows before the drawn one, so that the difference marks it.
        marks = torch.cat([torch.ones(1, dtype=torch.float64), before[:-1]]) - before
        centers = torch.cat([centers, (marks.unsqueeze(0) @ rows)])
    return centers
