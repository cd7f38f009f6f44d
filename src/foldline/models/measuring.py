"""Measuring inferences against their labels: the metrics, the window and its course move together."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foldline.models.known import Count, KnownModel
from foldline.models.online import Task
from foldline.records.types import Value


@dataclass(slots=True)
class Measured:
    """Labelled examples of a batch, in the order in which their labels came.

    Attributes:
        truth: the labels.
        value: what had been predicted, None for nothing.
        score: of the positive class, or of an anomaly; NaN for none.
        likelihood: the probability given to the label, NaN for none.
        time: of the record that brought the label, milliseconds.
    """

    truth: list[Value] = field(default_factory=list)
    value: list[Value | None] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    likelihood: list[float] = field(default_factory=list)
    time: list[int] = field(default_factory=list)

    def add(self, truth: Value, value: Value | None, score: float, likelihood: float, time: int) -> None:
        """One more."""
        self.truth.append(truth)
        self.value.append(value)
        self.score.append(score)
        self.likelihood.append(likelihood)
        self.time.append(time)


def measure(known: KnownModel, measured: Measured, task: Task) -> None:
    """Take the examples into the metrics, in pieces that end where the course has a point."""
    add = _add_numbers if task == "regression" else _add_classes
    start, total = 0, len(measured.truth)
    while start < total:
        count = int(known.counts[Count.LABELLED])
        stop = min(total, start + known.course.left(count))
        add(known, measured, slice(start, stop), task)
        known.counts[Count.LABELLED] += stop - start
        count += stop - start
        if count % known.course.every == 0:
            known.course.add([measured.time[stop - 1], count, *_point(known, task)])
        start = stop


def _point(known: KnownModel, task: Task) -> list[float | None]:
    report = known.window.report(regression=task == "regression")
    first = report.mae if task == "regression" else report.accuracy
    return [first, report.f1, report.recall, report.roc_auc]


def _add_classes(known: KnownModel, measured: Measured, part: slice, task: Task) -> None:
    metrics = known.classification
    truth, value = measured.truth[part], measured.value[part]
    score, likelihood = np.array(measured.score[part]), np.array(measured.likelihood[part])
    metrics.add(truth, value, score, likelihood)
    wrong = np.array([a != b for a, b in zip(truth, value, strict=True)], np.float64)
    if task == "anomaly":
        # A detector names no class: it is not wrong where it names none.
        wrong[[each is None for each in value]] = np.nan
    known.window.add(wrong, metrics.is_positive(truth), metrics.is_positive(value), score)


def _add_numbers(known: KnownModel, measured: Measured, part: slice, _task: Task) -> None:
    truth = np.array([_number(each) for each in measured.truth[part]])
    value = np.array([_number(each) for each in measured.value[part]])
    known.regression.add(truth, value)
    off = np.abs(truth - value)
    nothing = np.zeros(len(off), np.bool_)
    known.window.add(off, nothing, nothing, np.full(len(off), np.nan))


def _number(value: Any) -> float:
    return float("nan") if value is None or isinstance(value, str) else float(value)
