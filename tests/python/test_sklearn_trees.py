# SPDX-License-Identifier: MIT
"""Fitted trees of scikit-learn on secret rows, against scikit-learn; and one grown on secrets."""

import numpy as np
import pytest
import torch
from sklearn import datasets, ensemble, tree
from sklearn.exceptions import NotFittedError

import cryptensor as ct
from cryptensor.errors import ConfigError, RemoteError, UnsupportedOperation
from cryptensor.sklearn.fitted_trees import parts_of
from cryptensor.sklearn.flattening import flattened

UNIT = 2.0**-16


def on_grid(x):
    return np.round(x / UNIT) * UNIT


ROWS, TARGETS = datasets.make_regression(80, 6, noise=5, random_state=0)
ROWS, TARGETS = on_grid(ROWS), TARGETS / TARGETS.std()
IRIS, KINDS = datasets.load_iris(return_X_y=True)
IRIS = on_grid(IRIS)
PAIR = (IRIS[:100], KINDS[:100])
# How many roundings of a leaf's value a prediction sums.
REGRESSORS = {
    "tree": (tree.DecisionTreeRegressor(random_state=0), TARGETS, 1),
    "targets": (tree.DecisionTreeRegressor(max_depth=4), np.stack([TARGETS, -TARGETS], 1), 1),
    "forest": (ensemble.RandomForestRegressor(7, max_depth=4, random_state=0), TARGETS, 3),
    "extra trees": (ensemble.ExtraTreesRegressor(3, max_depth=5, random_state=0), TARGETS, 3),
    "boosted": (ensemble.GradientBoostingRegressor(n_estimators=6), TARGETS, 7),
    "from zero": (ensemble.GradientBoostingRegressor(n_estimators=3, init="zero"), TARGETS, 4),
    "histogram": (ensemble.HistGradientBoostingRegressor(max_iter=4), TARGETS, 5),
    "poisson": (
        ensemble.HistGradientBoostingRegressor(max_iter=3, loss="poisson"),
        abs(TARGETS),
        40,
    ),
    "one leaf": (tree.DecisionTreeRegressor(), np.full(80, 3.5), 1),
}
CLASSIFIERS = {
    "tree": (tree.DecisionTreeClassifier(random_state=0), (IRIS, KINDS)),
    "forest": (ensemble.RandomForestClassifier(6, random_state=0), (IRIS, KINDS)),
    "extra trees": (
        ensemble.ExtraTreesClassifier(3, max_depth=4, random_state=0),
        (IRIS, KINDS),
    ),
    "boosted": (ensemble.GradientBoostingClassifier(n_estimators=3), (IRIS, KINDS)),
    "boosted pair": (
        ensemble.GradientBoostingClassifier(n_estimators=3, loss="exponential"),
        PAIR,
    ),
    "histogram": (ensemble.HistGradientBoostingClassifier(max_iter=3), (IRIS, KINDS)),
    "histogram pair": (ensemble.HistGradientBoostingClassifier(max_iter=3), PAIR),
}


def predicted(fitted, rows, structure, calls):
    """Runs at every party: party 0 has the model, party 1 the rows."""
    mine = ct.rank()
    model = ct.sklearn.encrypt(fitted if mine == 0 else None, src=0, structure=structure)
    secret = ct.cryptensor(torch.from_numpy(rows) if mine == 1 else None, src=1)
    return [getattr(model, call)(secret).reveal().numpy() for call in calls]


@pytest.mark.parametrize("structure", ["secret", "public"])
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name, structure):
    fitted, targets, roundings = REGRESSORS[name]
    fitted.fit(ROWS, targets)
    with ct.sklearn.oracle():
        got = ct.sklearn.encrypt(fitted, structure=structure).predict(ROWS)
    assert np.abs(got - fitted.predict(ROWS)).max() <= roundings * UNIT


@pytest.mark.parametrize("structure", ["secret", "public"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, structure):
    fitted, (rows, kinds) = CLASSIFIERS[name]
    fitted.fit(rows, kinds)
    with ct.sklearn.oracle():
        model = ct.sklearn.encrypt(fitted, structure=structure)
        assert (model.predict(rows) == fitted.predict(rows)).all()
        # The error of a sigmoid, see csrc/function/README.md.
        assert np.abs(model.predict_proba(rows) - fitted.predict_proba(rows)).max() < 2.0**-12


@pytest.mark.parametrize(("structure", "parties"), [("secret", 2), ("public", 2), ("secret", 3)])
def test_between_parties(structure, parties):
    forest = REGRESSORS["forest"][0].fit(ROWS, TARGETS)
    for values in ct.simulate(
        predicted, forest, ROWS[:20], structure, ["predict"], parties=parties
    ):
        assert np.abs(values[0] - forest.predict(ROWS[:20])).max() <= 4 * UNIT
    boosted = CLASSIFIERS["boosted"][0].fit(IRIS, KINDS)
    calls = ["predict", "predict_proba"]
    for kinds, chances in ct.simulate(
        predicted, boosted, IRIS[::5], structure, calls, parties=parties
    ):
        assert (kinds == boosted.predict(IRIS[::5])).all()
        assert np.abs(chances - boosted.predict_proba(IRIS[::5])).max() < 2.0**-12


def rounds(fitted, rows, structure):
    model = ct.sklearn.encrypt(fitted if ct.rank() == 0 else None, src=0, structure=structure)
    secret = ct.cryptensor(rows, src=1)
    model.predict(secret).reveal()  # masks of the model are opened at the first call
    ct.reset_stats()
    model.predict(secret + 0.0).reveal()
    return ct.stats().total().rounds


def test_rounds_do_not_depend_on_depth_or_trees():
    small = tree.DecisionTreeRegressor(max_depth=1).fit(ROWS, TARGETS)
    large = tree.DecisionTreeRegressor(max_depth=9).fit(ROWS, TARGETS)
    for structure, wanted in (("secret", 9), ("public", 7)):
        for fitted in (small, large):
            assert ct.simulate(rounds, fitted, ROWS, structure)[0] == wanted


def test_every_leaf_has_one_way():
    arrays = flattened(parts_of(REGRESSORS["forest"][0].fit(ROWS, TARGETS)).trees, 16)
    above = (arrays.paths != 0).sum(1)
    assert above.max() == arrays.depth
    assert ((arrays.paths == -1).sum(1) <= arrays.lefts).all()


def test_thresholds_are_exact_on_the_grid():
    """A row that equals a threshold goes left, its upper neighbour right."""
    fitted = tree.DecisionTreeRegressor().fit([[0.0], [1.0]], [0.0, 1.0])
    rows = np.array([[0.5 - UNIT], [0.5], [0.5 + UNIT]])
    with ct.sklearn.oracle():
        got = ct.sklearn.encrypt(fitted).predict(rows)
    assert got.tolist() == [0.0, 0.0, 1.0]


# ---- what is refused ---------------------------------------------------------------------------


def refused(fitted):
    raised = []
    try:
        ct.sklearn.encrypt(fitted if ct.rank() == 0 else None, src=0)
    except (ConfigError, NotFittedError, UnsupportedOperation) as error:
        raised = [type(error).__name__, str(error)]
    return raised, ct.cryptensor(2.0, src=1).reveal().item()  # the session goes on


@pytest.mark.parametrize(
    ("fitted", "kind", "words"),
    [
        (tree.DecisionTreeRegressor(), "NotFittedError", "not fitted"),
        (object(), "UnsupportedOperation", "object"),
        (
            ensemble.HistGradientBoostingRegressor(max_iter=2, categorical_features=[0]).fit(
                np.round(abs(ROWS)), TARGETS
            ),
            "UnsupportedOperation",
            "categorical",
        ),
        (
            ensemble.GradientBoostingRegressor(
                n_estimators=2, init=tree.DecisionTreeRegressor()
            ).fit(ROWS, TARGETS),
            "UnsupportedOperation",
            "init",
        ),
    ],
)
def test_what_has_no_form_is_refused_everywhere(fitted, kind, words):
    (first, one), (second, two) = ct.simulate(refused, fitted)
    assert first[0] == kind and words in first[1]
    assert second == [
        "ConfigError",
        "party 0 could not encrypt its model; see the error there",
    ]
    assert one == two == 2.0


def test_training_of_forests_is_refused():
    with pytest.raises(UnsupportedOperation, match="RandomForestRegressor"):
        ct.sklearn.RandomForestRegressor().fit(ROWS, TARGETS)


def test_structure_must_be_agreed():
    fitted = tree.DecisionTreeRegressor(max_depth=2).fit(ROWS, TARGETS)

    def disagree():
        ct.sklearn.encrypt(fitted, src=0, structure=("secret", "public")[ct.rank()])

    with pytest.raises(RemoteError, match="structure"):
        ct.simulate(disagree)


# ---- trees grown on secrets --------------------------------------------------------------------


def grow(kind, rows, targets, options):
    secret = ct.cryptensor(torch.from_numpy(rows), src=0)
    model = getattr(ct.sklearn, kind)(**options)
    given = {"classes": [0, 1, 2]} if kind.endswith("Classifier") else {}
    model.fit(secret, ct.cryptensor(torch.from_numpy(targets), src=1), **given)
    return model.predict(secret).reveal().numpy()


def test_a_tree_grown_on_secrets_classifies():
    expected = tree.DecisionTreeClassifier(max_depth=2).fit(IRIS, KINDS).score(IRIS, KINDS)
    got = ct.simulate(grow, "DecisionTreeClassifier", IRIS, KINDS, {"max_depth": 2})[0]
    assert (got == KINDS).mean() >= expected - 0.02


@pytest.mark.parametrize("binning", ["quantile", "uniform"])
def test_steps_are_found_exactly(binning):
    """Targets that are constant on four boxes: the tree gives them back."""
    rows = on_grid(np.random.default_rng(0).uniform(0, 1, (60, 3)))
    targets = np.where(rows[:, 1] < 0.5, np.where(rows[:, 2] < 0.5, 1.0, 2.0), -3.0)
    options = {"max_depth": 2, "max_bins": 60 if binning == "quantile" else 16, "binning": binning}
    with ct.sklearn.oracle():
        got = ct.sklearn.DecisionTreeRegressor(**options).fit(rows, targets).predict(rows)
    wrong = np.abs(got - targets) > 2.0**-9
    assert wrong.mean() <= (0.0 if binning == "quantile" else 0.1)
