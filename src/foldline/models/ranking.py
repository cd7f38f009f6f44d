"""How well scores rank positives above negatives: the area under the ROC curve, kept so that parts merge exactly.

Up to a stated number of different scores the multiset of (score, class) is kept and the area is exact: the share of
pairs of a positive and a negative in which the positive scores higher, ties counting half (Mann and Whitney 1947;
Bamber 1975). Beyond it scores stand in bins of a relative width of 2^-8 of their distance from 0, from 1 or from
infinity, whichever is nearest, and what is tied within a bin bounds the error. Whether a state is binned, and how, is a
function of the multiset alone: so merging is associative, in any order.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.kernels import patient
from foldline.models.score_counts import counted, grouped, merged

Float64s = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

EXACT: Final = 100_000
"""Different scores up to which the area is exact: 2.4 MB."""

FLOOR: Final = 2.0**-40
"""Distances from 0 and 1 below this are taken for it, once scores are binned."""

THRESHOLDS: Final = 10
"""Of River's metric."""

_MANTISSA: Final = np.int64(52 - 8)
_NONE: Final = np.uint64((1 << 64) - 1)
"""In a window, of an example without a score."""

_AT_A_TIME: Final = 1 << 20
"""Scores in windows that are sorted at a time."""

_WAITING: Final = 4096
"""Scores gathered before they are sorted in."""


class Area(NamedTuple):
    """An area under the ROC curve.

    Attributes:
        value: 0 to 1; None without a positive or without a negative.
        error: the greatest by which the exact one may differ; 0 where it is exact.
    """

    value: float | None
    error: float


class Ranking:
    """Scores with their classes, of one partition or of several merged.

    Args:
        exact: different scores up to which nothing is binned.

    Attributes:
        binned: whether scores stand in bins.
        key: (m,) the scores, rising, or their bins.
        of: (m, 2) negatives and positives of each.
        passed: (THRESHOLDS, 2) negatives and positives above each threshold.
        absent: (2,) negatives and positives without a score.

    Example:
        >>> ranking = Ranking()
        >>> ranking.add(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
        >>> ranking.area(), round(ranking.area_by_thresholds(), 3)
        (Area(value=0.75, error=0.0), 0.875)
    """

    def __init__(self, exact: int = EXACT) -> None:
        self._exact = exact
        self.binned = False
        self.key: npt.NDArray[np.generic] = np.zeros(0)
        self.of = np.zeros((0, 2), np.int64)
        self.passed = np.zeros((THRESHOLDS, 2), np.int64)
        self.absent = np.zeros(2, np.int64)
        self._waiting: list[tuple[Float64s, npt.NDArray[np.bool_]]] = []
        self._count = 0

    def add(self, score: Float64s, positive: npt.NDArray[np.bool_]) -> None:
        """Take scores in, NaN for none. Amortised O(log n) a score.

        Args:
            score: (m,).
            positive: (m,) whether each is of the positive class.
        """
        there = ~np.isnan(score)
        if not there.all():
            lacking = int((positive & ~there).sum())
            self.absent += (int((~there).sum()) - lacking, lacking)
            score, positive = score[there], positive[there]
        if not len(score):
            return
        passed = np.searchsorted(_thresholds(), score, side="left")
        width = THRESHOLDS + 1
        reached = np.bincount(passed + width * positive, minlength=2 * width).reshape(2, width)
        # How many lie above each threshold: a count from the right of how many thresholds each passes.
        self.passed += np.cumsum(reached[:, ::-1], axis=1)[:, ::-1][:, 1:].T
        self._waiting.append((score, positive))
        self._count += len(score)
        if self._count >= max(_WAITING, len(self.key) // 4):
            self.sort_in()

    def merge(self, other: "Ranking") -> None:
        """Take in what the other has."""
        self.sort_in()
        other.sort_in()
        self.passed = self.passed + other.passed
        self.absent = self.absent + other.absent
        mine, theirs = (self.key, self.of), (other.key, other.of)
        if self.binned != other.binned:
            mine, theirs = (
                part if binned else grouped(_bins(part[0]), part[1])
                for part, binned in ((mine, self.binned), (theirs, other.binned))
            )
            self.binned = True
        self._hold(*merged(*mine, *theirs))

    def area(self, *, absent: bool = False) -> Area:
        """The area under the curve. O(different scores).

        Args:
            absent: whether examples without a score count, as ones of the score 0; if none has a score, none does.
        """
        self.sort_in()
        of = self.of
        if absent and len(of) and self.absent.any():
            zero = np.zeros(1)
            key = np.concatenate((self.key, _bins(zero) if self.binned else zero))
            of = grouped(key, np.concatenate((of, self.absent[None, :])))[1]
        negatives, positives = (int(total) for total in of.sum(axis=0))
        if not negatives or not positives:
            return Area(None, 0.0)
        below = np.cumsum(of[:, 0]) - of[:, 0]
        # Exact: twice the number of pairs won, as Python's integers where 64 bits might not do.
        won = int(np.dot(of[:, 1].astype(object), (2 * below + of[:, 0]).astype(object)))
        tied = int(np.dot(of[:, 1].astype(object), of[:, 0].astype(object))) if self.binned else 0
        pairs = negatives * positives
        return Area(won / (2 * pairs), tied / (2 * pairs))

    def distribution(self) -> tuple[Float64s, Int64s]:
        """(n,) the scores, rising, or the least of each bin; (n, 2) how many negatives and positives have each."""
        self.sort_in()
        return (_least(self.key) if self.binned else self.key.astype(np.float64)), self.of

    def area_by_thresholds(self) -> float | None:
        """The area under the polygon through ten thresholds, as `river.metrics.ROCAUC` has it; None without scores."""
        if not len(self.key) and not self._waiting:
            return None
        negatives, positives = (int(total) for total in self._totals())
        false = [int(count) / negatives if negatives else 0.0 for count in self.passed[:, 0]]
        true = [int(count) / positives if positives else 0.0 for count in self.passed[:, 1]]
        return float(-np.trapezoid(x=false, y=true))

    def dump(self) -> Arrays:
        """As arrays: a function of the multiset alone."""
        self.sort_in()
        key = "bin" if self.binned else "score"
        return {key: self.key, "of": self.of, "passed": self.passed, "absent": self.absent}

    @classmethod
    def load(cls, arrays: Arrays, exact: int = EXACT) -> "Ranking":
        """What was dumped."""
        loaded = cls(exact)
        loaded.binned = "bin" in arrays
        loaded.key = arrays["bin" if loaded.binned else "score"]
        loaded.of = arrays["of"].astype(np.int64)
        loaded.passed = arrays["passed"].astype(np.int64)
        loaded.absent = arrays["absent"].astype(np.int64)
        return loaded

    def _totals(self) -> Int64s:
        waiting = np.zeros(2, np.int64)
        for _, positive in self._waiting:
            waiting += (len(positive) - int(positive.sum()), int(positive.sum()))
        return np.asarray(self.of.sum(axis=0) + waiting)

    def sort_in(self) -> None:
        """Bring `key` and `of` up to date."""
        if not self._waiting:
            return
        # Zeros of both signs are one score.
        score = np.concatenate([score for score, _ in self._waiting]) + 0.0
        positive = np.concatenate([positive for _, positive in self._waiting])
        self._waiting, self._count = [], 0
        key = _bins(score) if self.binned else score
        self._hold(*merged(self.key, self.of, *counted(key, positive)))

    def _hold(self, key: npt.NDArray[np.generic], of: Int64s) -> None:
        """Hold these different, rising keys; in bins where they are too many."""
        if not self.binned and len(key) > self._exact:
            self.binned = True
            key, of = grouped(_bins(key), of)
        self.key, self.of = key, of


def areas_of(
    score: Float64s, positive: npt.NDArray[np.bool_], starts: Int64s, ends: Int64s
) -> list[float | None]:
    """The area under the ROC curve of each of several windows over scores; None without both classes.

    O(n log n), and O(m log m) a window of m.

    Args:
        score: (n,) NaN for none, which is left out.
        positive: (n,) whether each is of the positive class.
        starts: (k,) first of each window.
        ends: (k,) the one after its last.
    """
    size = int((ends - starts).max(initial=0))
    if not size:
        return [None] * len(starts)
    # Of equal scores the negatives come first: a whole number says of each what a pair would.
    key = np.where(np.isnan(score), _NONE, (_ranks(score) << np.uint64(1)) | positive)
    areas: list[float | None] = []
    at_a_time = max(_AT_A_TIME // size, 1)
    for first in range(0, len(starts), at_a_time):
        some = slice(first, first + at_a_time)
        windows = np.full((len(starts[some]), size), _NONE)
        for row, start, end in zip(windows, starts[some].tolist(), ends[some].tolist(), strict=True):
            row[: end - start] = key[start:end]
        windows.sort(axis=1)
        found = np.zeros((len(windows), 3), np.int64)
        _count_higher(windows, found)
        areas += [
            twice / (2 * negatives * positives) if negatives and positives else None
            for negatives, positives, twice in found.tolist()
        ]
    return areas


def _ranks(score: Float64s) -> npt.NDArray[np.uint64]:
    """(n,) whole numbers below 2^63 that rise with the scores; any for NaN."""
    if (score < 0.0).any():
        return np.unique(score, return_inverse=True)[1].astype(np.uint64)
    # The bits of doubles that are not negative rise with them; zeros of both signs are one score.
    return np.abs(score).view(np.uint64)


def _count_higher_plainly(windows: Any, found: Any) -> None:
    """`_count_higher` by numpy."""
    for row, key in enumerate(windows):
        key = key[key != _NONE]
        is_positive = key % 2 == 1
        negatives, positives = key[~is_positive], key[is_positive]
        higher = sum(np.searchsorted(negatives, positives - np.uint64(step)).sum() for step in (0, 1))
        found[row] = len(negatives), len(positives), higher


@patient(lambda *given: given[0].size, plain=_count_higher_plainly)
def _count_higher(windows: Any, found: Any) -> None:
    """Of each window its negatives, its positives, and twice the pairs won by the positive, ties counting once.

    Args:
        windows: (k, size) each rising: twice the rank of a score, and one more of a positive; `_NONE` for none.
        found: (k, 3) zeros, written.
    """
    one = np.uint64(1)
    for row in range(windows.shape[0]):
        negatives = positives = below = twice = 0
        rank = np.uint64(0)
        for at in range(windows.shape[1]):
            key = windows[row, at]
            if key == _NONE:
                break
            if key | one != rank:
                rank, below = key | one, negatives
            if key & one:
                positives += 1
                twice += below + negatives
            else:
                negatives += 1
        found[row, 0], found[row, 1], found[row, 2] = negatives, positives, twice


def _thresholds() -> Float64s:
    found = np.array([step / (THRESHOLDS - 1) for step in range(THRESHOLDS)])
    found[0] -= 1e-7
    found[-1] += 1e-7
    return found


def _bins(score: npt.NDArray[np.generic]) -> Int64s:
    """(n,) the bin of each score; rises with the score."""
    given = score.astype(np.float64)
    half, one = _place(np.array([0.5, 1.0]))
    low = _place(np.maximum(np.abs(given), FLOOR))
    high = 2 * half + 1 - _place(np.maximum(1.0 - given, FLOOR))
    above = 2 * half + 2 - _place(np.array([FLOOR]))[0] + _place(np.maximum(given, 1.0)) - one
    found: Int64s = np.select([given < 0.0, given <= 0.5, given <= 1.0], [-low, low, high], above)
    return found


def _least(bins: npt.NDArray[np.generic]) -> Float64s:
    """(n,) a score of each bin, the one nearest to 0, to 1 or to 1 again, by which it is named."""
    key = bins.astype(np.int64)
    half, one, floor = (int(_place(np.array([each]))[0]) for each in (0.5, 1.0, FLOOR))
    low, high = _score(np.abs(key)), 1.0 - _score(2 * half + 1 - key)
    above = _score(key - (2 * half + 2 - floor) + one)
    found: Float64s = np.select([key < 0, key <= half, key <= 2 * half + 1 - floor], [-low, low, high], above)
    return found


def _score(place: Int64s) -> Float64s:
    return np.ascontiguousarray(np.maximum(place, 0) << _MANTISSA).view(np.float64)


def _place(distance: Float64s) -> Int64s:
    """The leading bits of a positive number, as an integer that rises with it."""
    return np.ascontiguousarray(distance).view(np.int64) >> _MANTISSA
