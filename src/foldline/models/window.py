"""The same metrics over the last labelled examples only, and their course: how they went over time."""

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.models.ranking import area_of

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
    """The last labelled examples of one partition, in a ring.

    Args:
        size: how many.

    Example:
        >>> window = Window(2)
        >>> window.add(np.array([0.0, 0.0, 1.0]), np.array([True, True, False]), np.array([True, True, True]),
        ...            np.array([0.1, 0.9, 0.2]))
        >>> window.report()
        WindowReport(count=2, accuracy=0.5, f1=0.6666666666666666, recall=1.0, roc_auc=1.0, mae=None)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0
        self._rows = np.zeros((4, size))

    def add(
        self,
        error: Float64s,
        positive: npt.NDArray[np.bool_],
        guessed: npt.NDArray[np.bool_],
        score: Float64s,
    ) -> None:
        """Take labelled examples in.

        Args:
            error: (n,) 1 where the class was predicted wrong, else 0; or how far a number was off. NaN for none.
            positive: (n,) whether each is of the positive class.
            guessed: (n,) whether each was predicted so.
            score: (n,) of the positive class, NaN for none.
        """
        n = min(len(error), self._size)
        self._at += len(error) - n
        places = np.arange(self._at, self._at + n) % self._size
        for row, given in enumerate((error, positive, guessed, score)):
            self._rows[row, places] = given[len(given) - n :]
        self._at += n

    def report(self, *, regression: bool = False) -> WindowReport:
        """What is known of them. O(size log size)."""
        count = min(self._at, self._size)
        error, positive, guessed, score = self._rows[:, :count]
        if not count:
            return WindowReport(count=0)
        if regression:
            known = error[~np.isnan(error)]
            return WindowReport(count=count, mae=float(known.sum() / len(known)) if len(known) else None)
        hit, true, guesses = int(positive @ guessed), int(positive.sum()), int(guessed.sum())
        there = ~np.isnan(score)
        if not there.all():
            score, of = score[there], positive[there] > 0.0
        else:
            of = positive > 0.0
        judged = not np.isnan(error).any()
        return WindowReport(
            count=count,
            accuracy=1.0 - float(error.sum()) / count if judged else None,
            f1=2 * hit / (true + guesses) if judged and true + guesses else None,
            recall=hit / true if judged and true else None,
            roc_auc=area_of(score, of),
        )

    def dump(self) -> Arrays:
        """As arrays."""
        return {"rows": self._rows[:, : min(self._at, self._size)], "at": np.array([self._at])}

    @classmethod
    def load(cls, arrays: Arrays, size: int) -> "Window":
        """What was dumped."""
        loaded = cls(size)
        loaded._at = int(arrays["at"][0])
        loaded._rows[:, : arrays["rows"].shape[1]] = arrays["rows"]
        return loaded


class Course:
    """Points along the labelled examples of one partition, at most `POINTS`, evenly apart.

    Attributes:
        every: labelled examples between two points.
        points: (n, width) a point a row.
    """

    def __init__(self, width: int) -> None:
        self.every = FIRST_EVERY
        self.points = np.zeros((0, width))

    def left(self, count: int) -> int:
        """Examples from `count` on until the next point."""
        return self.every - count % self.every

    def add(self, point: list[float | None]) -> None:
        """A point, taken when as many examples as a multiple of `every` are labelled; None for no number."""
        row = np.array([[np.nan if each is None else each for each in point]])
        self.points = np.concatenate((self.points, row))
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
