"""Did a log choose at random, each available action as often as the others?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foldline.simulation.readers.logged import LoggedEvents

TOLERANCE = 1e-3
"""Relative difference up to which a propensity counts as 1 / (number of available actions)."""


@dataclass(slots=True)
class LoggedRandomness:
    """What the propensities of a log say; a log without any is taken at its format's word.

    Attributes:
        least: smallest propensity logged, infinity before the first.
        greatest: greatest propensity logged, minus infinity before the first.
        uniform: every one is 1 / (number of available actions).
    """

    least: float = float("inf")
    greatest: float = float("-inf")
    uniform: bool = True

    def add(self, events: LoggedEvents, pools: Sequence[Sequence[int]]) -> None:
        """Look at a chunk of events, O(m)."""
        logged = ~np.isnan(events.propensity)
        if not logged.any():
            return
        propensity = events.propensity[logged]
        sizes = np.array([len(pool) for pool in pools], np.float64)[events.pool[logged]]
        self.least = min(self.least, float(propensity.min()))
        self.greatest = max(self.greatest, float(propensity.max()))
        self.uniform = self.uniform and bool((np.abs(propensity * sizes - 1.0) <= TOLERANCE).all())
