"""Measuring inferences against their labels: the metrics, the window and its course move together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foldline.models.drift import LIMIT, SCORE_LIMIT
from foldline.models.known import Count, KnownModel
from foldline.models.online import Task
from foldline.models.window import WindowReport
from foldline.records.types import Value


@dataclass(frozen=True, slots=True)
class Measured:
    """Labelled examples of a batch, in the order in which their labels came.

    Attributes:
        truth: the labels, none of them None.
        value: what had been predicted, None for nothing.
        score: (n,) of the positive class, or of an anomaly; NaN for none.
        likelihood: (n,) the probability given to the label, NaN for none.
        time: of the record that brought the label, milliseconds.
        line: how many output lines there were after it.
    """

    truth: Sequence[Value | None]
    value: Sequence[Value | None]
    score: npt.NDArray[np.float64]
    likelihood: npt.NDArray[np.float64]
    time: Sequence[int] | npt.NDArray[np.int64]
    line: Sequence[int]


_LIMITS: Final = {"regression": LIMIT, "anomaly": SCORE_LIMIT}

Point = tuple[int, int, WindowReport]
"""Of the course: its time, examples labelled so far, the window."""


def measure(known: KnownModel, measured: Measured, task: Task) -> list[tuple[int, Point]]:
    """Take the examples into the metrics, the window and its course.

    Returns:
        Each point, after how many output lines it comes.
    """
    total = len(measured.truth)
    points: list[tuple[int, Point]] = []
    if not total:
        return points
    off, positive, guessed, score = (_numbers if task == "regression" else _classes)(known, measured, task)
    before = int(known.counts[Count.LABELLED])
    # Of a detector what counts is whether the usual has come to look unusual; a score of 0 says nothing.
    unusual = np.where(positive | (score == 0.0), np.nan, score) if task == "anomaly" else off
    known.drift.add(unusual, measured.time, before, limit=_LIMITS.get(task))
    known.counts[Count.LABELLED] += total
    stops = known.course.stops(before, total)
    reports = known.window.reports(off, positive, guessed, score, stops, regression=task == "regression")
    course: list[list[float | None]] = []
    for stop, report in zip(stops, reports, strict=True):
        time, count = int(measured.time[stop - 1]), before + stop
        first = report.mae if task == "regression" else report.accuracy
        course.append([time, count, first, report.f1, report.recall, report.roc_auc])
        points.append((measured.line[stop - 1], (time, count, report)))
    known.course.add(course)
    return points


Windowed = tuple[
    npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.float64]
]
"""What the window takes, see `Window.reports`."""


def _classes(known: KnownModel, measured: Measured, task: Task) -> Windowed:
    metrics = known.classification
    score = measured.score
    truth, guess = metrics.add(measured.truth, measured.value, score, measured.likelihood)
    wrong = (truth != guess).astype(np.float64)
    if task == "anomaly":
        # A detector names no class: it is not wrong where it names none.
        wrong[guess < 0] = np.nan
    place = metrics.place
    return wrong, truth == place, (guess == place) & (guess >= 0), score


def _numbers(known: KnownModel, measured: Measured, _task: Task) -> Windowed:
    truth = np.array([_number(each) for each in measured.truth])
    value = np.array([_number(each) for each in measured.value])
    known.regression.add(truth, value)
    off = np.abs(truth - value)
    nothing = np.zeros(len(off), np.bool_)
    return off, nothing, nothing, np.full(len(off), np.nan)


def _number(value: Any) -> float:
    return float("nan") if value is None or isinstance(value, str) else float(value)
