"""Drift alarms: at the examples at which River raises them, whatever the batches, and rarely by chance."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import compose, drift, linear_model, preprocessing

from foldline.fold.arrays import dump_arrays, load_arrays
from foldline.kernels import lose_patience
from foldline.models.definition import ModelDefinition
from foldline.models.drift import KEPT, LIMIT, Drift
from foldline.models.known import nothing
from foldline.models.measuring import Measured, measure
from foldline.models.online import Steps
from foldline.records.examples import FeatureTable, Form
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
            detector.add(errors[start:stop], range(start, stop), start, limit=LIMIT)
        if detector.alarms:
            steady += 1
            continue
        detector.add(errors[2_000:], range(2_000, 3_000), 2_000, limit=LIMIT)
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
    detector.add(errors, range(200), 0, limit=LIMIT)
    detector.add(np.ones(500), range(500), 200, limit=LIMIT)
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
    """As if they had not been."""
    wrong = np.array([0.0] * 60 + [1.0] * 20)
    gaps = np.full(160, np.nan)
    gaps[::2] = wrong
    one, other = Drift(), Drift()
    one.add(wrong, list(range(80)), 0)
    other.add(gaps, list(range(160)), 0)
    assert one.alarms == other.alarms == 1
    assert (other.places[:, 1] - 1).tolist() == (2 * (one.places[:, 1] - 1)).tolist()


_WORLDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "uniform": lambda rng: rng.random((4_000, 4)),
    "normal": lambda rng: rng.normal(0.5, 0.12, (4_000, 4)),
    "two clusters": lambda rng: rng.normal(rng.choice([0.25, 0.7], (4_000, 1)), 0.08, (4_000, 4)),
}


def _alarms(x: np.ndarray, *, fraud: bool) -> np.ndarray:
    """Places of the alarms over half-space trees' scores of usual examples, every tenth of the positive class."""
    definition = ModelDefinition(name="m", model="HalfSpaceTrees:seed=42,window_size=50")
    model, known, names = definition.build(), nothing(definition), ("a", "b", "c", "d")
    table = FeatureTable(names, np.clip(x, 0.0, 1.0), np.full(x.shape, Form.FLOAT, np.uint8))
    count = len(x)
    truth = [fraud and at % 10 == 0 for at in range(count)]
    said = model.run(model.empty(), Steps(table, truth, [True] * count))
    for start in range(0, count, 999):
        part = slice(start, min(start + 999, count))
        scores = np.array(said.scores, np.float64)[part]
        truths = truth[part]
        lines = range(1, len(truths) + 1)
        nan = np.full(len(truths), np.nan)
        measure(
            known,
            Measured(truths, [None] * len(truths), scores, nan, range(part.start, part.stop), lines),
            "anomaly",
        )
    return known.drift.places[:, 0]


@pytest.mark.parametrize("name", _WORLDS)
def test_a_detector_raises_an_alarm_when_the_usual_looks_unusual(name: str) -> None:
    """Of 50 steady streams of 4,000 examples 0, 1 and 2 do; where the world moves, after 31 and 22 in the middle.

    A world without a middle only loses a part of itself, and is not noticed. Scores of the positive class do not count.
    """
    lose_patience()
    steady, delays = 0, list[int]()
    for seed in range(50):
        x = _WORLDS[name](np.random.default_rng(seed))
        if len(_alarms(x, fraud=seed % 2 == 0)):
            steady += 1
            continue
        x[2_500:] += 0.2
        found = _alarms(x, fraud=seed % 2 == 0)
        delays.append(int(found[0]) - 2_500 if len(found) else 1_500)
    assert steady == {"uniform": 0, "normal": 1, "two clusters": 2}[name]
    assert np.median(delays) == {"uniform": 1_500, "normal": 31, "two clusters": 22}[name]
