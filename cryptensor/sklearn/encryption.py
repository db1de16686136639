# SPDX-License-Identifier: MIT
"""encrypt(): a fitted scikit-learn model becomes secret at all parties."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sklearn.preprocessing
import torch
from sklearn.utils.validation import check_is_fitted

from .. import session
from ..data import check_source, cryptensor
from ..errors import ConfigError, ProtocolError, UnsupportedOperation
from . import classification, cluster, decomposition, linear, spread, trees
from .fitted_trees import parts_of
from .flattening import flattened
from .forest import Forest

# The order is what parties tell each other: append only.
_KINDS: tuple[type, ...] = (
    linear.LinearRegression,
    linear.Ridge,
    classification.LogisticRegression,
    classification.LinearSVC,
    cluster.KMeans,
    decomposition.PCA,
    spread.StandardScaler,
    trees.DecisionTreeRegressor,
    trees.DecisionTreeClassifier,
    trees.RandomForestRegressor,
    trees.RandomForestClassifier,
    trees.ExtraTreesRegressor,
    trees.ExtraTreesClassifier,
    trees.GradientBoostingRegressor,
    trees.GradientBoostingClassifier,
    trees.HistGradientBoostingRegressor,
    trees.HistGradientBoostingClassifier,
)
_FAILED = -1
# Kind, features, depth, is the structure hidden, link; then the labels of the classes.
_HEAD = 5


class _Packed(NamedTuple):
    """What the owner tells everybody, and what it keeps."""

    public: list[int]
    secret: list[np.ndarray]


def encrypt(fitted: Any, src: int = 0, *, structure: str = "secret") -> Any:
    """The fitted scikit-learn model of party src as an estimator of this package.

    fitted: at src the model; the other parties pass None, or anything.
    structure: "secret" hides of trees which features they compare and where their nodes are;
      "public" shows both, for two rounds less and products that cost no communication. Thresholds
      and values of leaves are secret in either case.

    What everybody learns: the class of the model, its numbers of features, outputs and classes,
    their labels where they are integers; of trees their number and the largest numbers of nodes,
    leaves and levels. A feature that is a multiple of 2^-precision is compared as scikit-learn
    does. Predictions of classes are positions in classes_.

    Cost: an opening of that description, and a round for each of up to six secret tensors. Raises
    at src NotFittedError, UnsupportedOperation for other models and for categorical splits,
    several outputs of classes, missing values' own branches or initial estimators, ConfigError for
    too many nodes; ConfigError at the others.
    """
    engine: Any = session.current().engine
    check_source(engine, src)
    if structure not in ("secret", "public"):
        raise ConfigError(f"structure is {structure!r}; it must be 'secret' or 'public'")
    hidden = structure == "secret"
    packed = None
    if engine.rank == src:
        try:
            packed = _packed(fitted, engine.precision, hidden)
        except Exception:
            _announced(engine, [_FAILED], src)
            raise
    public = _announced(engine, packed.public if packed else None, src)
    if public[0] == _FAILED:
        raise ConfigError(f"party {src} could not encrypt its model; see the error there")
    if len(public) < _HEAD or not 0 <= public[0] < len(_KINDS):
        raise ProtocolError(f"party {src} sent no description of a model")
    if public[3] not in (0, 1) or bool(public[3]) != hidden:
        raise ConfigError(f"structure is {structure!r}; party {src} has chosen another")
    model = _KINDS[public[0]]()
    model.n_features_in_ = public[1]
    if issubclass(_KINDS[public[0]], trees._Trees):
        _restore_trees(model, public, packed, src)
    else:
        _restore(model, packed, src)
    if public[_HEAD:]:
        model.classes_ = np.array(public[_HEAD:])
    return model


def _announced(engine: Any, numbers: list[int] | None, src: int) -> list[int]:
    given = None if numbers is None else torch.tensor(numbers)
    opened = engine.reveal(engine.input(given, src, integers=numbers is not None), None)
    if engine.rehearses and numbers is not None:  # what is opened there means nothing
        return numbers
    told: list[int] = opened.flatten().round().long().tolist()
    return told


def _packed(fitted: Any, precision: int, hidden: bool) -> _Packed:
    kind = next((k for k in _KINDS if _is_scikit(fitted, k)), None)
    if kind is None:
        known = ", ".join(k.__name__ for k in _KINDS)
        raise UnsupportedOperation(
            f"ct.sklearn.encrypt() of {type(fitted).__name__}; it takes scikit-learn's {known}"
        )
    check_is_fitted(fitted)
    labels = trees.labels_of(fitted).tolist()
    public = [_KINDS.index(kind), fitted.n_features_in_, 0, int(hidden), 0]
    if not issubclass(kind, trees._Trees):
        return _Packed(public + labels, _attributes(fitted))
    parts = parts_of(fitted)
    arrays = flattened(parts.trees, precision)
    public[2], public[4] = arrays.depth, parts.link
    features: Any = arrays.features
    if hidden:
        features = np.eye(fitted.n_features_in_, dtype=np.int64)[:, features]
    secret = [features, arrays.paths, arrays.lefts, arrays.thresholds, arrays.values, parts.start]
    return _Packed(public + labels, secret)


def _is_scikit(fitted: Any, kind: type) -> bool:
    """Is it of scikit-learn's class of this name?"""
    cls = type(fitted)
    return cls.__name__ == kind.__name__ and cls.__module__.partition(".")[0] == sklearn.__name__


# ---- models that are a few tensors ---------------------------------------------------------------

_ATTRIBUTES = {
    "KMeans": ("cluster_centers_",),
    "PCA": ("components_", "mean_", "explained_variance_", "explained_variance_ratio_"),
    "StandardScaler": ("mean_", "var_", "scale_", "_inverse"),
}
_LINEAR = ("coef_", "intercept_")


def _attributes(fitted: Any) -> list[np.ndarray]:
    names = _ATTRIBUTES.get(type(fitted).__name__, _LINEAR)
    if getattr(fitted, "whiten", False):
        raise UnsupportedOperation("PCA with whiten=True")
    if isinstance(fitted, sklearn.preprocessing.StandardScaler):
        if fitted.mean_ is None or fitted.scale_ is None or not fitted.with_mean:
            raise UnsupportedOperation("a StandardScaler without its mean or its variance")
        return [fitted.mean_, fitted.var_, fitted.scale_, 1 / fitted.scale_]
    return [np.asarray(getattr(fitted, name), dtype=np.float64) for name in names]


def _restore(model: Any, packed: _Packed | None, src: int) -> None:
    names = _ATTRIBUTES.get(type(model).__name__, _LINEAR)
    for at, name in enumerate(names):
        setattr(model, name, _constant(packed and packed.secret[at], src))
    if isinstance(model, decomposition.PCA):
        model.n_components_ = len(model.components_)


# ---- trees ---------------------------------------------------------------------------------------


def _restore_trees(model: Any, public: list[int], packed: _Packed | None, src: int) -> None:
    _, features, depth, hidden, link = public[:_HEAD]
    given = packed.secret if packed else [None] * 6
    select, paths, lefts, thresholds, values, start = (_constant(a, src) for a in given)
    if not hidden:
        select, paths, lefts = (tensor.reveal() for tensor in (select, paths, lefts))
        if not bool(((select >= 0) & (select < features)).all()):
            raise ProtocolError(f"party {src} sent no description of trees")
    model.forest_ = Forest(select, thresholds, paths, lefts, values, depth)
    model._link, model._start = link, start if start.numel() else None


def _constant(values: Any, src: int) -> Any:
    """A tensor of the model, masked once for all predictions."""
    given = None if values is None else torch.from_numpy(np.ascontiguousarray(values))
    secret: Any = cryptensor(given, src=src)
    secret = secret.to(torch.float64) if secret.dtype.is_floating_point else secret
    secret._secret.reuse()
    return secret
