"""The same metrics over the last labelled examples only, and their course: how they went over time."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.models.ranking import areas_of

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

POINTS: Final = 256
"""Points of a course; beyond it every second one goes."""

FIRST_EVERY: Final = 50
"""Labelled examples between two points at first; doubled whenever points are let go."""


class WindowReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last labelled examples; None where there is no such number.

    Attributes:
        count: how many.
        accuracy: share predicted right.
        f1: of the positive class.
        recall: likewise.
        roc_auc: exact.
        mae: mean absolute error, of a regressor.
    """

    count: int
    accuracy: float | None = None
    f1: float | None = None
    recall: float | None = None
    roc_auc: float | None = None
    mae: float | None = None


class Window:
    """The last labelled examples of one partition.

    Args:
        size: how many.

    Example:
        >>> window = Window(2)
        >>> window.reports(np.array([0.0, 0.0, 1.0]), np.array([True, True, False]), np.array([True, True, True]),
        ...                np.array([0.1, 0.9, 0.2]), [3])
        [WindowReport(count=2, accuracy=0.5, f1=0.6666666666666666, recall=1.0, roc_auc=1.0, mae=None)]
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: Float64s = np.zeros((4, 0))

    def reports(
        self,
        error: Float64s,
        positive: npt.NDArray[np.bool_],
        guessed: npt.NDArray[np.bool_],
        score: Float64s,
        stops: Sequence[int],
        *,
        regression: bool = False,
    ) -> list[WindowReport]:
        """Take labelled examples in; what is known of the last ones after so many of them.

        O(n + size), and O(size log size) a report.

        Args:
            error: (n,) 1 where the class was predicted wrong, else 0; or how far a number was off. NaN for none.
            positive: (n,) whether each is of the positive class.
            guessed: (n,) whether each was predicted so.
            score: (n,) of the positive class, NaN for none.
            stops: rising, 1 to n: after how many of the examples to report.
            regression: whether it is a regressor's.
        """
        before = self._rows.shape[1]
        rows: Float64s = np.concatenate((self._rows, np.stack((error, positive, guessed, score))), axis=1)
        self._rows = rows[:, max(rows.shape[1] - self._size, 0) :].copy()
        if not len(stops):
            return []
        ends = np.array(stops, np.int64) + before
        starts = np.maximum(ends - self._size, 0)
        if regression:
            return [_of_numbers(rows[0, start:end]) for start, end in zip(starts, ends, strict=True)]
        error, truth, guess, score = rows
        nothing = np.isnan(error)
        # Whole numbers, so that differences of running sums are the windows' own sums.
        wrong, unjudged, hit, true, guesses = (
            _sums(each, starts, ends)
            for each in (np.where(nothing, 0.0, error), nothing, truth * guess, truth, guess)
        )
        areas = areas_of(score, truth > 0.0, starts, ends)
        return [
            WindowReport(
                count=count,
                accuracy=1.0 - wrong / count if not unjudged else None,
                f1=2 * hit / (true + guesses) if not unjudged and true + guesses else None,
                recall=hit / true if not unjudged and true else None,
                roc_auc=area,
            )
            for count, wrong, unjudged, hit, true, guesses, area in zip(
                (ends - starts).tolist(), wrong, unjudged, hit, true, guesses, areas, strict=True
            )
        ]

    def report(self, *, regression: bool = False) -> WindowReport:
        """What is known of the last ones. O(size log size)."""
        error, positive, guessed, score = self._rows
        count = len(error)
        if not count:
            return WindowReport(count=0)
        now = Window(count)
        (found,) = now.reports(error, positive > 0.0, guessed > 0.0, score, [count], regression=regression)
        return found

    def dump(self) -> Arrays:
        """As arrays."""
        return {"rows": self._rows}

    @classmethod
    def load(cls, arrays: Arrays, size: int) -> "Window":
        """What was dumped."""
        loaded = cls(size)
        loaded._rows = arrays["rows"].astype(np.float64)
        return loaded


def _sums(values: npt.NDArray[Any], starts: Int64s, ends: Int64s) -> list[int]:
    running = np.concatenate((np.zeros(1, np.int64), np.cumsum(values.astype(np.int64))))
    return list((running[ends] - running[starts]).tolist())


def _of_numbers(error: Float64s) -> WindowReport:
    known = error[~np.isnan(error)]
    return WindowReport(count=len(error), mae=float(known.sum() / len(known)) if len(known) else None)


class Course:
    """Points along the labelled examples of one partition, at most `POINTS`, evenly apart.

    Attributes:
        every: labelled examples between two points.
        points: (n, width) a point a row.
    """

    def __init__(self, width: int) -> None:
        self.every = FIRST_EVERY
        self.points = np.zeros((0, width))

    def stops(self, count: int, more: int) -> list[int]:
        """After how many of `more` examples a point is to be added, where `count` were labelled before. O(points)."""
        found, points, every = list[int](), len(self.points), self.every
        at = count + every - count % every
        while at <= count + more:
            found.append(at - count)
            points += 1
            if points > POINTS:
                points, every = points // 2, 2 * every
            at += every - at % every
        return found

    def add(self, points: Sequence[Sequence[float | None]]) -> None:
        """Points, each taken when as many examples as a multiple of `every` are labelled; None for no number."""
        rows = np.array(points, np.float64).reshape(len(points), self.points.shape[1])  # None is NaN
        while len(rows):
            room = POINTS + 1 - len(self.points)
            self.points, rows = np.concatenate((self.points, rows[:room])), rows[room:]
            if len(self.points) > POINTS:
                # The even ones stand at multiples of twice the distance.
                self.points = self.points[1::2]
                self.every *= 2

    def dump(self) -> Arrays:
        """As arrays."""
        return {"points": self.points, "every": np.array([self.every])}

    @classmethod
    def load(cls, arrays: Arrays) -> "Course":
        """What was dumped."""
        loaded = cls(arrays["points"].shape[1])
        loaded.points, loaded.every = arrays["points"].astype(np.float64), int(arrays["every"][0])
        return loaded
