"""Drift alarms: a classifier's errors have become more frequent than they were at their best, a regressor's greater.

Of a classifier, DDM (Gama, Medas, Castillo and Rodrigues 2004, Learning with drift detection): with p the share of
errors so far and s its standard deviation, an alarm is raised where p + s exceeds the least p + s seen by so many s
that chance hardly explains it, and counting begins anew. Defaults and order of the steps are those of River's
`drift.binary.DDM`, which raises its alarms at the same examples. It looks at every example: of 200 simulated streams of
2,000 examples with a steady fifth wrong, 62 raised an alarm, and 198 did within 2,000 examples of a change to two
fifths.

Of a regressor, the cumulative sum of Page (1954, Continuous inspection schemes) over absolute errors, each less their
mean and over their standard deviation so far: it is free of the errors' unit. Of 200 simulated streams of 2,000
examples whose errors were normal, Laplace's, Student's with 4 degrees of freedom, or lognormal, 4, 4, 4 and 1 raised an
alarm; once errors double the median alarm comes after 20, 30, 30 and 51 examples (`tests/models/test_drift.py`).

Of a detector, the same sum over the scores of examples that are not of the positive class, with a limit twice as high,
since scores of one window of half-space trees hang together: what is usual has come to look unusual. A score of 0 says
nothing, as before the first window, and is passed over. Of 50 simulated steady streams of 4,000 examples each, uniform,
normal and in two clusters, 0, 1 and 2 raised an alarm over trees with a window of 50; once the world moves the median
alarm comes after 31 and 22 examples. A world that draws together, so that scores fall, is not noticed.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.kernels import patient

KEPT: Final = 32
"""Alarms kept with their places; all are counted."""

WARM: Final = 30
"""Examples after a beginning before which there is no alarm."""

THRESHOLD: Final = 3.0
"""Standard deviations above the best at which an alarm is raised."""

SLACK: Final = 0.25
"""Of the cumulative sum: what every error is let off, in standard deviations."""

LIMIT: Final = 20.0
"""The cumulative sum above which an alarm is raised, in standard deviations."""

SCORE_LIMIT: Final = 40.0
"""The same over a detector's scores."""

MOST: Final = 4.0
"""What one error adds at most, in standard deviations: no single one raises an alarm."""


class Drift:
    """The detector of one partition, with its last alarms.

    Attributes:
        alarms: how many were raised.
        places: (k, 2) int64, record time in milliseconds and number of the labelled example of each of the last alarms.

    Example:
        >>> drift = Drift()
        >>> drift.add(np.array([0.0] * 90 + [1.0] * 10), list(range(100)), 0)
        >>> drift.alarms, drift.places.tolist()
        (1, [[90, 91]])
    """

    def __init__(self) -> None:
        self.alarms = 0
        self.places = np.zeros((0, 2), np.int64)
        # Examples since the beginning, share of errors, least p + s, and p and s where it was; whether to begin anew.
        # Of a regressor: examples, mean error, nothing, sum of squares about the mean, the cumulative sum; as above.
        self._state = np.array([0.0, 0.0, np.inf, 0.0, 0.0, 0.0])

    def add(
        self,
        error: npt.NDArray[np.float64],
        times: Sequence[int] | npt.NDArray[np.int64],
        before: int,
        *,
        limit: float | None = None,
    ) -> None:
        """Take labelled examples in.

        Args:
            error: (n,) 1 where the class was predicted wrong, else 0; how far off a regressor was; or a detector's
                score. NaN is passed over.
            times: n record times, milliseconds.
            before: labelled examples that came before.
            limit: of the cumulative sum, `LIMIT` or `SCORE_LIMIT`; None for a classifier's errors.
        """
        found = np.zeros(len(error), np.int64)
        count = int(
            _detect(error, self._state, found)
            if limit is None
            else _detect_greater(error, self._state, found, limit)
        )
        if count:
            self.alarms += count
            rows = [[times[at], before + at + 1] for at in found[:count].tolist()]
            self.places = np.concatenate((self.places, np.array(rows, np.int64)))[-KEPT:]

    def dump(self) -> Arrays:
        """As arrays."""
        return {"state": self._state, "places": self.places, "alarms": np.array([self.alarms])}

    @classmethod
    def load(cls, arrays: Arrays) -> "Drift":
        """What was dumped."""
        loaded = cls()
        loaded._state = arrays["state"].astype(np.float64)
        loaded.places = arrays["places"].astype(np.int64)
        loaded.alarms = int(arrays["alarms"][0])
        return loaded


@patient(lambda *given: len(given[0]))
def _detect(wrong: Any, state: Any, found: Any) -> Any:
    """Goes through the errors; the rows of the alarms stand in `found`, and how many there are is returned."""
    count = 0
    for row in range(len(wrong)):
        if wrong[row] != wrong[row]:
            continue
        if state[5] != 0.0:
            state[0] = state[1] = state[3] = state[4] = state[5] = 0.0
            state[2] = np.inf
        state[0] += 1.0
        state[1] += (wrong[row] - state[1]) / state[0]
        spread = np.sqrt(state[1] * (1.0 - state[1]) / state[0])
        if state[0] > WARM:
            if state[1] + spread <= state[2]:
                state[2], state[3], state[4] = state[1] + spread, state[1], spread
            if state[1] + spread > state[3] + THRESHOLD * state[4]:
                state[5] = 1.0
                found[count] = row
                count += 1
    return count


@patient(lambda *given: len(given[0]))
def _detect_greater(error: Any, state: Any, found: Any, limit: float) -> Any:
    """As `_detect`, for absolute errors and scores."""
    count = 0
    for row in range(len(error)):
        value = error[row]
        if value != value:
            continue
        if state[5] != 0.0:
            state[0] = state[1] = state[3] = state[4] = state[5] = 0.0
        if state[0] >= WARM and state[3] > 0.0:
            above = (value - state[1]) / np.sqrt(state[3] / (state[0] - 1.0))
            state[4] = max(0.0, state[4] + min(above, MOST) - SLACK)
            if state[4] > limit:
                state[5] = 1.0
                found[count] = row
                count += 1
        state[0] += 1.0
        off = value - state[1]
        state[1] += off / state[0]
        state[3] += off * (value - state[1])
    return count
