# SPDX-License-Identifier: MIT
"""Classical models in scikit-learn's form, on secret tensors.

fit(), predict() and transform() take secret tensors and give secret ones; attributes that end in an
underscore are secret unless their class says otherwise. join() makes one table of the parts of
several parties, encrypt() a secret model of a fitted one of scikit-learn, oracle() runs the same on
public arrays in one process. Needs the extra "sklearn".
"""

from .classification import LinearSVC, LogisticRegression
from .cluster import KMeans
from .decomposition import PCA
from .encryption import encrypt
from .joining import join
from .linear import LinearRegression, Ridge
from .metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
)
from .oracle import oracle
from .spread import StandardScaler
from .trees import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

__all__ = [
    "PCA",
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "HistGradientBoostingClassifier",
    "HistGradientBoostingRegressor",
    "KMeans",
    "LinearRegression",
    "LinearSVC",
    "LogisticRegression",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "Ridge",
    "StandardScaler",
    "accuracy_score",
    "confusion_matrix",
    "encrypt",
    "f1_score",
    "join",
    "log_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "oracle",
    "precision_score",
    "r2_score",
    "recall_score",
]
