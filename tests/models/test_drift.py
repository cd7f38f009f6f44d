"""Drift alarms: at the examples at which River raises them, whatever the batches, and rarely by chance."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import compose, drift, linear_model, preprocessing

from foldline.fold.arrays import dump_arrays, load_arrays
from foldline.kernels import lose_patience
from foldline.models.drift import KEPT, Drift
from foldline.simulation.readers.labelled_table import read_table


def _errors(path: Path) -> np.ndarray:
    """1 where River's logistic regression, predicting then learning, was wrong."""
    table = read_table(path).head(20_000)
    model = compose.Pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    wrong = []
    for x, y in table.rows():
        given = {name: float(cell) for name, cell in x.items()}
        wrong.append(float(model.predict_one(given) != bool(y)))
        model.learn_one(given, bool(y))
    return np.array(wrong)


def _theirs(wrong: np.ndarray) -> list[int]:
    detector: Any = drift.binary.DDM()
    found = []
    for number, error in enumerate(wrong.tolist(), start=1):
        detector.update(bool(error))
        if detector.drift_detected:
            found.append(number)
    return found


@pytest.mark.parametrize("name", ["elec2", "sea_abrupt"])
def test_alarms_are_rivers(shared_data: Path, name: str) -> None:
    """On the errors of a model on published streams, in batches of any size, restored between."""
    wrong = _errors(shared_data / f"streams/{name}.csv.gz")
    expected = _theirs(wrong)
    assert expected or name == "sea_abrupt"
    for size in (1, 777, len(wrong)):
        detector, found = Drift(), list[int]()
        for start in range(0, len(wrong), size):
            before = detector.alarms
            detector.add(wrong[start : start + size], [0] * size, start)
            found += (
                detector.places[:, 1].tolist()[-(detector.alarms - before) :]
                if detector.alarms > before
                else []
            )
            if size == 777:
                detector = Drift.load(load_arrays(dump_arrays(detector.dump())))
        assert (detector.alarms, found[-KEPT:]) == (len(expected), expected[-KEPT:])


_ERRORS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "normal": lambda rng: np.abs(rng.normal(size=3_000)),
    "laplace": lambda rng: np.abs(rng.laplace(size=3_000)),
    "student": lambda rng: np.abs(rng.standard_t(4, size=3_000)),
    "lognormal": lambda rng: rng.lognormal(size=3_000),
}


@pytest.mark.parametrize("name", _ERRORS)
def test_errors_that_grow_raise_an_alarm(name: str) -> None:
    """Of 200 streams of 2,000 examples 4, 4, 4 and 1 alarm, at most 5 %; all do soon after errors double.

    Whatever the errors' unit and the batches.
    """
    lose_patience()
    rng = np.random.default_rng(5)
    steady, delays = 0, list[int]()
    for turn in range(200):
        errors = _ERRORS[name](rng) * 10.0 ** rng.integers(-6, 6)
        errors[2_000:] *= 2
        detector = Drift()
        for start in range(0, 2_000, 500 + turn):
            stop = min(start + 500 + turn, 2_000)
            detector.add(errors[start:stop], range(start, stop), start, regression=True)
        if detector.alarms:
            steady += 1
            continue
        detector.add(errors[2_000:], range(2_000, 3_000), 2_000, regression=True)
        assert len(detector.places)
        assert detector.places[0, 1] == detector.places[0, 0] + 1
        delays.append(int(detector.places[0, 0]) - 2_000)
    assert steady == {"normal": 4, "laplace": 4, "student": 4, "lognormal": 1}[name]
    assert np.median(delays) <= 51


def test_no_single_error_raises_an_alarm() -> None:
    """However great; and where all errors are alike there is none."""
    detector = Drift()
    errors = np.tile([1.0, 2.0], 100)
    errors[150] = 1e9
    detector.add(errors, range(200), 0, regression=True)
    detector.add(np.ones(500), range(500), 200, regression=True)
    assert detector.alarms == 0


def test_a_steady_stream_raises_few_alarms() -> None:
    """Of 200 streams of 2,000 examples with a fifth wrong 62 raise an alarm; 198 do after a change to two fifths."""
    rng = np.random.default_rng(7)
    steady = changed = 0
    for _ in range(200):
        wrong = (rng.random(4_000) < np.where(np.arange(4_000) < 2_000, 0.2, 0.4)).astype(float)
        detector = Drift()
        detector.add(wrong[:2_000], [0] * 2_000, 0)
        steady += detector.alarms > 0
        before = detector.alarms
        detector.add(wrong[2_000:], [0] * 2_000, 2_000)
        changed += detector.alarms > before
    assert steady == 62
    assert changed == 198


def test_examples_without_a_judgement_are_passed_over() -> None:
    """As those of a detector are, which names no class."""
    wrong = np.array([0.0] * 60 + [1.0] * 20)
    gaps = np.full(160, np.nan)
    gaps[::2] = wrong
    one, other = Drift(), Drift()
    one.add(wrong, list(range(80)), 0)
    other.add(gaps, list(range(160)), 0)
    assert one.alarms == other.alarms == 1
    assert (other.places[:, 1] - 1).tolist() == (2 * (one.places[:, 1] - 1)).tolist()
