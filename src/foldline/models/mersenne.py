"""The generator that River draws its half-space trees with: a function of its seed alone.

Mersenne Twister (Matsumoto and Nishimura 1998), seeded by its array procedure as Python's own `random.Random` is for
seeds below 2^32; numbers and choices are made of it as Python makes them.
"""

import itertools
from bisect import bisect
from collections.abc import Sequence

import numpy as np

from foldline.errors import InputError


class Mersenne:
    """Draws of one seed, in order.

    Args:
        seed: 0 to 2^32 - 1.

    Example:
        >>> Mersenne(42).uniform(0.0, 1.0)
        0.6394267984578837
    """

    def __init__(self, seed: int) -> None:
        if not 0 <= seed < 1 << 32:
            raise InputError(
                "input.invalid", f"seed is {seed!r}, expected 0 to {(1 << 32) - 1}", field="seed", value=seed
            )
        self._draw = np.random.RandomState([seed]).random_sample

    def uniform(self, a: float, b: float) -> float:
        """A number between."""
        return a + (b - a) * float(self._draw())

    def choices(self, population: Sequence[int], weights: Sequence[float]) -> list[int]:
        """One of the population, by weight, in a list."""
        sums = list(itertools.accumulate(weights))
        total = sums[-1] + 0.0
        return [population[bisect(sums, float(self._draw()) * total, 0, len(population) - 1)]]
