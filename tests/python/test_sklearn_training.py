# SPDX-License-Identifier: MIT
"""Training on data of two owners, against scikit-learn on the joined data."""

import numpy as np
import pytest
import torch
from sklearn import cluster, datasets, decomposition, linear_model, metrics, preprocessing, svm
from sklearn.pipeline import make_pipeline

import cryptensor as ct
from cryptensor.errors import ConfigError, PolicyError, RemoteError, SecretLeakError, ShapeError

ROWS, TARGETS = datasets.make_regression(150, 8, noise=5, random_state=0)
TARGETS = TARGETS / TARGETS.std()
CANCER, TUMOURS = datasets.load_breast_cancer(return_X_y=True)
CANCER = preprocessing.StandardScaler().fit_transform(CANCER)[:200]
TUMOURS = TUMOURS[:200]
IRIS, KINDS = datasets.load_iris(return_X_y=True)


def halves(rows, along):
    """This party's half, as its own; nobody passes what it does not have."""
    parts = np.array_split(rows, ct.world_size(), 0 if along == "rows" else 1)
    return ct.sklearn.join(**{along: parts[ct.rank()]})


def opened(model, names):
    return [getattr(model, name).reveal().numpy() for name in names]


def fit(kind, options, rows, targets, along, names, classes=None):
    model = getattr(ct.sklearn, kind)(**options)
    given = {} if classes is None else {"classes": classes}
    secret = halves(rows, along)
    model.fit(secret, ct.cryptensor(torch.from_numpy(targets), src=1), **given)
    return [*opened(model, names), model.predict(secret).reveal().numpy()]


def close(got, expected, share):
    assert np.abs(got - expected).max() <= share * np.abs(expected).max()


@pytest.mark.parametrize("along", ["rows", "columns"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LinearRegression", {}),
        ("Ridge", {"alpha": 20.0}),
        ("Ridge", {"alpha": 2.0, "fit_intercept": False}),
    ],
)
def test_least_squares(kind, options, along):
    names = ["coef_"] if "fit_intercept" in options else ["coef_", "intercept_"]
    both = ct.simulate(fit, kind, options, ROWS, TARGETS, along, names)
    expected = getattr(linear_model, kind)(**options).fit(ROWS, TARGETS)
    for coefficients, *_, predicted in both:
        close(coefficients, expected.coef_, 2.0**-12)
        assert np.abs(predicted - expected.predict(ROWS)).max() < 2.0**-10
    if len(names) > 1:
        assert abs(both[0][1] - expected.intercept_) < 2.0**-12


def test_correlated_columns_still_predict():
    """Correlations of condition number 10^5 and more."""
    with ct.sklearn.oracle():
        model = ct.sklearn.LinearRegression().fit(CANCER, TUMOURS)
        got = model.predict(CANCER)
    expected = linear_model.LinearRegression().fit(CANCER, TUMOURS).predict(CANCER)
    assert np.abs(got - expected).max() < 0.05
    assert metrics.r2_score(TUMOURS, got) > metrics.r2_score(TUMOURS, expected) - 1e-3


def test_columns_of_small_scale_with_a_strong_penalty():
    """The penalty of a column of spread 2^-8 is thousands of times its variance."""
    rows = ROWS * [1, 2.0**-8, 100, 1, 1, 2.0**-6, 1, 1]
    with ct.sklearn.oracle():
        got = ct.sklearn.Ridge(50.0).fit(rows, TARGETS).predict(rows)
    expected = linear_model.Ridge(50.0).fit(rows, TARGETS).predict(rows)
    assert np.abs(got - expected).max() < 0.01


def test_logistic_regression_of_two_owners():
    names = ["coef_", "intercept_"]
    options = {"C": 0.1, "max_iter": 60}
    both = ct.simulate(fit, "LogisticRegression", options, CANCER, TUMOURS, "columns", names)
    expected = linear_model.LogisticRegression(C=0.1, tol=1e-8).fit(CANCER, TUMOURS)
    for coefficients, intercept, predicted in both:
        close(coefficients, expected.coef_, 0.02)
        close(intercept, expected.intercept_, 0.02)
        assert (predicted == expected.predict(CANCER)).mean() > 0.99


def test_three_classes():
    with ct.sklearn.oracle():
        model = ct.sklearn.LogisticRegression(max_iter=100).fit(IRIS, KINDS)
        chances = model.predict_proba(IRIS)
    expected = linear_model.LogisticRegression(tol=1e-8, max_iter=1000).fit(IRIS, KINDS)
    assert np.abs(chances - expected.predict_proba(IRIS)).max() < 2.0**-8
    with ct.sklearn.oracle():
        model = ct.sklearn.LinearSVC(max_iter=60).fit(IRIS, np.array(["a", "b", "c"])[KINDS])
        labels = model.predict(IRIS)
    expected = svm.LinearSVC(intercept_scaling=100, tol=1e-8, max_iter=10**6).fit(IRIS, KINDS)
    assert (labels == np.array(["a", "b", "c"])[expected.predict(IRIS)]).mean() > 0.97


def test_support_vectors():
    both = ct.simulate(fit, "LinearSVC", {"C": 0.01}, CANCER, TUMOURS, "rows", ["coef_"])
    # A large scaling takes the penalty off the intercept.
    expected = svm.LinearSVC(C=0.01, intercept_scaling=100, tol=1e-8, max_iter=10**6)
    expected.fit(CANCER, TUMOURS)
    close(both[0][0], expected.coef_, 0.02)
    assert (both[0][1] == expected.predict(CANCER)).mean() > 0.99


# ---- without targets ----------------------------------------------------------------------------


def clusters(options):
    secret = halves(IRIS, "rows")
    model = ct.sklearn.KMeans(3, **options).fit(secret)
    centers, inertia = opened(model, ["cluster_centers_", "inertia_"])
    return centers, inertia, model.predict(secret).reveal(), model.transform(secret).reveal()


def test_k_means_from_given_centres():
    start = IRIS[[0, 60, 120]]
    centers, inertia, numbers, distances = ct.simulate(clusters, {"init": start})[0]
    expected = cluster.KMeans(3, init=start, n_init=1).fit(IRIS)
    assert np.abs(centers - expected.cluster_centers_).max() < 2.0**-10
    assert abs(inertia - expected.inertia_) < 0.02
    assert (numbers.numpy() == expected.labels_).all()
    assert np.abs(distances.numpy() - expected.transform(IRIS)).max() < 2.0**-8


@pytest.mark.parametrize("options", [{"random_state": 1}, {}, {"init": "random"}])
def test_k_means_finds_a_start(options):
    (centers, inertia, *_), (again, *_) = ct.simulate(clusters, options)
    assert (centers == again).all()
    assert inertia < 150  # a tenth of what one centre has; the optimum is 78.9


def components(rows, count):
    secret = halves(rows, "columns")
    model = ct.sklearn.PCA(count).fit(secret)
    moved = model.transform(secret)
    back = model.inverse_transform(moved).reveal().numpy()
    return *opened(model, ["components_", "explained_variance_"]), moved.reveal().numpy(), back


def test_principal_components():
    vectors, variances, moved, back = ct.simulate(components, CANCER[:, :10], 3)[0]
    expected = decomposition.PCA(3).fit(CANCER[:, :10])
    assert np.abs(vectors - expected.components_).max() < 2.0**-8
    close(variances, expected.explained_variance_, 2.0**-9)
    assert np.abs(moved - expected.transform(CANCER[:, :10])).max() < 0.05
    assert np.abs(back - expected.inverse_transform(moved)).max() < 0.05


def test_scaling():
    rows = IRIS * [1, 100, 2.0**-6, 1]
    with ct.sklearn.oracle():
        scaler = ct.sklearn.StandardScaler().fit(rows)
        got = scaler.transform(rows)
        back = scaler.inverse_transform(got)
    expected = preprocessing.StandardScaler().fit(rows)
    assert np.abs(got - expected.transform(rows)).max() < 0.01
    assert (np.abs(back - rows).max(0) < 2.0**-10 * np.abs(rows).max(0)).all()
    assert (np.abs(scaler.scale_.reveal().numpy() / expected.scale_ - 1) < 0.01).all()


# ---- what was fitted in the clear ---------------------------------------------------------------

FITTED = {
    "Ridge": (linear_model.Ridge().fit(ROWS, TARGETS), ROWS, "predict"),
    "LogisticRegression": (
        linear_model.LogisticRegression(max_iter=1000).fit(IRIS, KINDS),
        IRIS,
        "predict",
    ),
    "LinearSVC": (svm.LinearSVC().fit(CANCER, TUMOURS + 3), CANCER, "predict"),
    "KMeans": (cluster.KMeans(3, n_init=1).fit(IRIS), IRIS, "predict"),
    "PCA": (decomposition.PCA(2).fit(IRIS), IRIS, "transform"),
    "StandardScaler": (preprocessing.StandardScaler().fit(IRIS), IRIS, "transform"),
}


@pytest.mark.parametrize("name", FITTED)
def test_fitted_models_are_encrypted(name):
    fitted, rows, call = FITTED[name]
    with ct.sklearn.oracle():
        model = ct.sklearn.encrypt(fitted)
        got = getattr(model, call)(rows)
    assert np.abs(got - getattr(fitted, call)(rows)).max() < 2.0**-9
    assert type(model).__name__ == name


# ---- the interface ------------------------------------------------------------------------------


def piped():
    steps = [ct.sklearn.StandardScaler(), ct.sklearn.Ridge()]
    model = make_pipeline(*steps).set_params(ridge__alpha=3.0)
    secret = halves(ROWS * 3 + 1, "columns")
    targets = ct.cryptensor(TARGETS, src=0)
    model.fit(secret, targets)
    return model.predict(secret).reveal().numpy(), model.score(secret, targets).reveal().item()


def test_pipelines_of_scikit_learn():
    predicted, score = ct.simulate(piped)[0]
    expected = make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge(3.0))
    expected.fit(ROWS * 3 + 1, TARGETS)
    assert np.abs(predicted - expected.predict(ROWS * 3 + 1)).max() < 2.0**-9
    assert abs(score - expected.score(ROWS * 3 + 1, TARGETS)) < 2.0**-10


def quiet():
    """Training, prediction and metrics open nothing."""
    with ct.policy(max_reveals=0):
        secret, kinds = halves(IRIS, "rows"), ct.cryptensor(torch.from_numpy(KINDS % 2), src=0)
        # With a seed: without one the parties would agree on one, which is an opening.
        means = ct.sklearn.KMeans(2, max_iter=1, random_state=0)
        for model in (ct.sklearn.LogisticRegression(max_iter=2), means):
            model.fit(secret, kinds)
            score = model.score(secret, kinds)
        ct.sklearn.DecisionTreeClassifier(max_depth=1).fit(secret, kinds).predict_proba(secret)
        ct.sklearn.PCA(1, squarings=1).fit(secret)
        with pytest.raises(PolicyError):
            score.reveal()
    with pytest.raises(SecretLeakError):
        float(score)
    return len(ct.stats().openings)


def test_nothing_is_opened():
    assert ct.simulate(quiet) == [0, 0]


def wrong_uses():
    secret = ct.cryptensor(torch.rand(6, 3), src=0)
    model = ct.sklearn.Ridge().fit(secret, ct.cryptensor(torch.rand(6), src=1))
    for raised, words, action in [
        (ShapeError, "fitted with 3", lambda: model.predict(secret[:, :2])),
        (ShapeError, "rows, features", lambda: model.predict(secret[0])),
        (ShapeError, "6 rows", lambda: model.fit(secret, torch.rand(5))),
        (ConfigError, "alpha", lambda: ct.sklearn.Ridge(-1.0).fit(secret, secret[:, 0])),
        (ConfigError, "max_iter", lambda: ct.sklearn.Ridge(max_iter=0).fit(secret, secret[:, 0])),
        (ConfigError, "public data", lambda: model.fit(ROWS, TARGETS)),
        (ConfigError, "requires y", lambda: model.fit(secret, None)),
        (ConfigError, "n_clusters", lambda: ct.sklearn.KMeans(7).fit(secret)),
        (ConfigError, "init", lambda: ct.sklearn.KMeans(2, init="any").fit(secret)),
        (ConfigError, "n_components", lambda: ct.sklearn.PCA(4).fit(secret)),
        (
            ConfigError,
            "binning",
            lambda: ct.sklearn.DecisionTreeRegressor(binning="x").fit(secret, secret[:, 0]),
        ),
        (ConfigError, "as rows", ct.sklearn.join),
        (ShapeError, "same columns", lambda: ct.sklearn.join(rows=torch.rand(2, 2 + ct.rank()))),
    ]:
        with pytest.raises(raised, match=words):
            action()


def test_wrong_uses_are_named():
    ct.simulate(wrong_uses)


def test_a_bad_part_is_refused_everywhere():
    def spoilt():
        ct.sklearn.join(rows=np.full((2, 2), np.nan if ct.rank() else 1.0))

    with pytest.raises(RemoteError) as caught:
        ct.simulate(spoilt)
    kinds = {failure.kind for failure in caught.value.failures if failure.party in (0, 1)}
    assert kinds == {"RangeError"}


# ---- metrics ------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(0)
TRUE, GUESS = RANDOM.integers(0, 2, (2, 80))
CHANCE = RANDOM.uniform(0.01, 0.99, 80)


def measured():
    def secret(values, src):
        return ct.cryptensor(torch.from_numpy(values), src=src)

    true, guess, chance = secret(TRUE, 0), secret(GUESS, 1), secret(CHANCE, 1)
    numbers = secret(TRUE + 0.5, 0)
    m = ct.sklearn
    return [
        x.reveal().double().numpy()
        for x in (
            m.accuracy_score(true, guess),
            m.accuracy_score(true, guess, normalize=False),
            m.confusion_matrix(true, guess, n_classes=2),
            m.precision_score(true, guess),
            m.recall_score(true, guess),
            m.f1_score(true, guess),
            m.log_loss(true, chance),
            m.mean_squared_error(numbers, chance),
            m.mean_absolute_error(numbers, chance),
            m.r2_score(numbers, chance),
        )
    ]


def test_metrics():
    expected = [
        metrics.accuracy_score(TRUE, GUESS),
        metrics.accuracy_score(TRUE, GUESS, normalize=False),
        metrics.confusion_matrix(TRUE, GUESS),
        metrics.precision_score(TRUE, GUESS),
        metrics.recall_score(TRUE, GUESS),
        metrics.f1_score(TRUE, GUESS),
        metrics.log_loss(TRUE, CHANCE),
        metrics.mean_squared_error(TRUE + 0.5, CHANCE),
        metrics.mean_absolute_error(TRUE + 0.5, CHANCE),
        metrics.r2_score(TRUE + 0.5, CHANCE),
    ]
    for got, wanted in zip(ct.simulate(measured)[0], expected, strict=True):
        assert np.abs(got - wanted).max() < 2.0**-9 * max(1, np.abs(wanted).max() * 2.0**-4)
