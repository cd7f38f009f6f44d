"""Every model on the shelf that can be made: restarted after every batch it says what it says uninterrupted."""

import sys
import warnings
from typing import Any

import pytest

from foldline.errors import DefinitionError
from foldline.models.shelf import Shelved, shelf
from tests.models.streams import columns_of, messy
from tests.models.test_fold import fold_of

INNER: dict[str, Any] = {
    "model": {"model": "naive_bayes.GaussianNB"},
    "classifier": {"model": "linear_model.LogisticRegression"},
    "regressor": {"model": "linear_model.LinearRegression"},
    "anomaly_detector": {"model": "anomaly.HalfSpaceTrees", "parameters": {"window_size": 10, "height": 4}},
}
"""What is given to models that are made of others."""

WRAPPERS = ("ensemble", "multiclass", "imblearn")

ALIKE = frozenset({"neighbors.KNNClassifier", "neighbors.KNNRegressor"})
"""Models that say the same after a restart, but whose bytes tell how their objects are shared."""


def _parameters(model: Shelved) -> dict[str, Any] | None:
    """What a model cannot be made without; None where that is nothing we have."""
    given: dict[str, Any] = {}
    for name, default in model.parameters:
        inner = "regressor" if name == "model" and model.task == "regression" else name
        if default == "" or (name in INNER and model.model.partition(".")[0] in WRAPPERS):
            if inner not in INNER:
                return None
            given[name] = INNER[inner]
    return given


MADE = [model for model in shelf() if _parameters(model) is not None]


def test_the_shelf_is_long() -> None:
    """Ours and most of River's; what needs what cannot be written down, such as a function, is left out here."""
    assert len(MADE) > 50
    assert {model.task for model in MADE} == {"classification", "regression", "anomaly"}


@pytest.mark.parametrize("model", MADE, ids=lambda model: model.model)
def test_a_restart_leaves_no_trace(model: Shelved) -> None:
    """The same outputs, and the same bytes in the end, dumped, or dumped and loaded, after every 20 records."""
    if model.model == "misc.ZstdClassifier" and sys.version_info < (3, 14):
        with pytest.raises(DefinitionError, match="requires Python"):
            fold_of(model=model.model)
        return
    fold = fold_of(model=model.model, parameters=_parameters(model), label_window_s=1)
    classes = (0.5, 1.5, 4.0) if model.task == "regression" else (False, True)
    columns = columns_of(messy(80, 3, classes))
    whole, dumped, restarted = fold.empty(), fold.empty(), fold.empty()
    told: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # River's own, such as of divisions by zero
        for start in range(0, len(columns), 20):
            part = columns.slice(start, min(start + 20, len(columns)))
            for state, lines in zip((whole, dumped, restarted), told, strict=True):
                outputs = fold.apply(state, part).outputs
                lines += outputs.split() if outputs is not None else []
            fold.dump(dumped)
            restarted = fold.load(fold.dump(restarted))
    assert told[0]
    assert told[0] == told[1] == told[2]
    if model.model not in ALIKE:
        assert fold.dump(whole) == fold.dump(dumped) == fold.dump(restarted)
