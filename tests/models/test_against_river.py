"""Our own models against River's, on published streams and on made-up ones with gaps."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import anomaly, compose, linear_model, optim, preprocessing, tree

from foldline.fold.arrays import dump_arrays, load_arrays
from foldline.models.half_space_trees import HalfSpaceTrees
from foldline.models.hoeffding_tree import HoeffdingTree
from foldline.models.logistic_regression import LogisticRegression
from foldline.models.protocol import Model
from foldline.simulation.readers.labelled_table import LabelledTable, read_table

STREAMS = ("elec2", "phishing", "sea_abrupt", "creditcard_sample", "url_phishing")
ROWS = 4_000


def _arrays(table: LabelledTable) -> tuple[np.ndarray, np.ndarray]:
    return np.column_stack([column.astype(np.float64) for column in table.columns]), table.labels.astype(
        float
    )


def _stream(shared_data: Path, name: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    table = read_table(shared_data / f"streams/{name}.csv.gz").head(ROWS)
    x, y = _arrays(table)
    return list(table.features), x, y


def _gappy(seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Made-up rows; features come and go, except in the first."""
    rng = np.random.default_rng(seed)
    x = rng.random((600, 5))
    x[1:][rng.random((599, 5)) < 0.2] = np.nan
    return [f"f{n}" for n in (3, 1, 4, 0, 2)], x, (rng.random(600) < 0.4).astype(float)


def _dicts(features: list[str], x: np.ndarray) -> list[dict[str, float]]:
    return [
        {name: value for name, value in zip(features, row, strict=True) if value == value}
        for row in x.tolist()
    ]


def _their_scores(model: Any, rows: list[dict[str, float]]) -> list[float]:
    scores = []
    for row in rows:
        scores.append(model.score_one(row))
        model.learn_one(row)
    return scores


@pytest.mark.parametrize("window", [100, 300])
@pytest.mark.parametrize("name", [*STREAMS, "gaps"])
def test_half_space_trees_score_alike(shared_data: Path, name: str, window: int) -> None:
    """Bit for bit, for the same seed and limits; until the window is full every score is 0, and that is said."""
    features, x, _ = _gappy(1) if name == "gaps" else _stream(shared_data, name)
    limits = {
        feature: (float(np.nanmin(column)), float(np.nanmax(column)) or 1.0)
        for feature, column in zip(features, x.T, strict=True)
    }
    limits = {feature: (low, high if high > low else low + 1.0) for feature, (low, high) in limits.items()}
    settings: dict[str, Any] = {"n_trees": 7, "height": 6, "window_size": window, "limits": limits}
    theirs = _their_scores(anomaly.HalfSpaceTrees(seed=42, **settings), _dicts(features, x))
    model = HalfSpaceTrees(features, random.Random(42), **settings)
    state = model.empty()
    ours = model.predict_learn(state, x[:window], np.full(window, np.nan))
    assert model.is_warm(state)
    assert not ours.any()
    ours = np.concatenate([ours, model.predict_learn(state, x[window:], np.full(len(x) - window, np.nan))])
    assert ours.ravel().tolist() == theirs


@pytest.mark.parametrize("name", [*STREAMS, "gaps"])
@pytest.mark.parametrize("settings", [{}, {"lr": 0.1, "l2": 0.01, "intercept_lr": 0.05}])
def test_logistic_regression_agrees(shared_data: Path, name: str, settings: dict[str, Any]) -> None:
    """Probabilities to 1e-12; rows without a label are predicted and not learnt."""
    features, x, y = _gappy(2) if name == "gaps" else _stream(shared_data, name)
    y[::7] = np.nan
    regression = linear_model.LogisticRegression(
        optimizer=optim.SGD(settings.get("lr", 0.01)),
        l2=settings.get("l2", 0.0),
        intercept_lr=settings.get("intercept_lr", 0.01),
    )
    pipeline = compose.Pipeline(preprocessing.StandardScaler(), regression)
    theirs = []
    for row, label in zip(_dicts(features, x), y.tolist(), strict=True):
        theirs.append(pipeline.predict_proba_one(row)[True])
        if label == label:
            pipeline.learn_one(row, bool(label))
    model = LogisticRegression(features, **settings)
    ours = model.predict_learn(model.empty(), x, y)
    np.testing.assert_allclose(ours[:, 1], theirs, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours.sum(axis=1), np.ones(len(x)))


@pytest.mark.parametrize("name", [*STREAMS, "covtype_sample", "gaps"])
@pytest.mark.parametrize(
    "settings",
    [{"max_depth": 10}, {"max_depth": 1, "grace_period": 50, "delta": 1e-3, "leaf_prediction": "mc"}],
    ids=["defaults", "shallow"],
)
def test_hoeffding_trees_predict_alike(shared_data: Path, name: str, settings: dict[str, Any]) -> None:
    """The same class for every row of every stream, by the same probabilities to 1e-9, in trees of the same size."""
    table = None if name == "gaps" else read_table(shared_data / f"streams/{name}.csv.gz")
    if table is None:
        features, x, y = _gappy(5)
        x, y = np.tile(x, (2, 1))[:800], (np.tile(x, (2, 1))[:800, 0] > 0.5).astype(float)
        x[300::7, 0] = np.nan
        values: list[Any] = [False, True]
    else:
        features, (x, y) = list(table.features), _arrays(table)
        values = [False, True] if table.is_binary else sorted(table.classes)
        if not table.is_binary:
            y = np.array([values.index(table.classes[int(label)]) for label in y], float)
    theirs: Any = tree.HoeffdingTreeClassifier(**settings)
    told = []
    for row, label in zip(_dicts(features, x), y.tolist(), strict=True):
        told.append(theirs.predict_proba_one(row))
        theirs.learn_one(row, values[int(label)])
    model = HoeffdingTree(features, len(values), **settings)
    state = model.empty()
    ours = [
        {value: p for value, p in zip(values, row, strict=True) if p >= 0.0}
        for row in model.predict_learn(state, x, y).tolist()
    ]
    assert [set(each) for each in ours] == [set(each) for each in told]
    assert [max(each, key=lambda c: each[c], default=None) for each in ours] == [
        max(each, key=lambda c: each[c], default=None) for each in told
    ]
    apart = max(abs(each[c] - other[c]) for each, other in zip(ours, told, strict=True) for c in each)
    assert apart < 1e-9
    assert int(state["count"][0]) == theirs.n_nodes


MODELS: list[Model] = [
    HalfSpaceTrees([f"f{n}" for n in range(5)], random.Random(1), n_trees=4, height=4, window_size=37),
    LogisticRegression([f"f{n}" for n in range(5)], lr=0.05, l2=0.001),
    HoeffdingTree([f"f{n}" for n in range(5)], grace_period=20, delta=0.1, tau=0.5),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_and_restarts_leave_no_trace(model: Model, size: int) -> None:
    """Any batch size, the state dumped and loaded between: the same predictions and bytes as in one pass."""
    _, x, y = _gappy(3)
    whole = model.empty()
    expected = model.predict_learn(whole, x, y)
    state, found = model.empty(), []
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        found.append(model.predict(state, x[part][:1]))
        again = model.predict_learn(state, x[part], y[part])
        assert found.pop().tolist() == again[:1].tolist()
        found.append(again)
        state = load_arrays(dump_arrays(state))
    assert np.concatenate(found).tolist() == expected.tolist()
    assert dump_arrays(state) == dump_arrays(whole)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_learning_alone_is_learning(model: Model) -> None:
    """`learn` leaves the state that `predict_learn` leaves."""
    _, x, y = _gappy(4)
    one, other = model.empty(), model.empty()
    model.learn(one, x, y)
    model.predict_learn(other, x, y)
    assert dump_arrays(one) == dump_arrays(other)
