"""Means and co-moments of several variables, in one pass and mergeable.

Never sums of squares in floating point: their difference cancels (four values near 1e9 with a variance of 30
give one of -171). Where a state must be the same bits for any order and grouping, `stats.exact_moments` keeps
exact integer sums, and gives these moments rounded once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample import Sample


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, means, and sums of products of deviations from the means, of d variables observed together.

    `merge` is associative and commutative up to rounding (relative 1e-12 or so), with `Moments.empty(d)` as its
    identity.

    Attributes:
        n: number of observations.
        means: d means.
        comoments: d rows of d sums of (x - mean x)(y - mean y).

    Example:
        >>> left, right = Moments.of_rows([[1.0], [2.0], [3.0], [4.0]]), Moments.of_rows([[10.0], [20.0]])
        >>> round(left.merge(right).covariance(), 6)
        52.666667
    """

    n: int
    means: tuple[float, ...]
    comoments: tuple[tuple[float, ...], ...]

    @classmethod
    def empty(cls, variables: int = 1) -> "Moments":
        """Of no observation."""
        return cls(0, (0.0,) * variables, ((0.0,) * variables,) * variables)

    @classmethod
    def of_rows(cls, rows: npt.ArrayLike) -> "Moments":
        """Of (m, d) values, all finite.

        Raises:
            InputError: `input.not_finite`; `input.invalid` where the array has not two dimensions.
        """
        table = np.asarray(rows, np.float64)
        if table.ndim != 2:
            raise InputError("input.invalid", f"rows have {table.ndim} dimensions; expected two, (m, d)")
        if not np.isfinite(table).all():
            raise InputError("input.not_finite", "rows hold NaN or infinity; expected finite values")
        if not len(table):
            return cls.empty(table.shape[1])
        means = table.mean(axis=0)
        apart = table - means
        return cls(len(table), tuple(means.tolist()), tuple(map(tuple, (apart.T @ apart).tolist())))

    def add(self, values: Sequence[float]) -> "Moments":
        """With one more observation of the d variables (Welford 1962).

        Raises:
            InputError: `input.invalid` for another number of values, `input.not_finite`.
        """
        if len(values) != len(self.means):
            raise InputError("input.invalid", f"{len(values)} values; expected {len(self.means)}")
        if not all(map(math.isfinite, values)):
            raise InputError("input.not_finite", f"values {values!r}; expected finite ones")
        zero = (0.0,) * len(values)
        return self.merge(Moments(1, tuple(values), (zero,) * len(values)))

    def merge(self, other: "Moments") -> "Moments":
        """Of both together (Chan, Golub and LeVeque 1979, equation 2.1)."""
        if not self.n or not other.n:
            return self if self.n or not other.n else other
        n = self.n + other.n
        apart = [b - a for a, b in zip(self.means, other.means, strict=True)]
        means = tuple(a + step * other.n / n for a, step in zip(self.means, apart, strict=True))
        share = self.n * other.n / n
        comoments = tuple(
            tuple(
                mine + theirs + x * y * share
                for mine, theirs, y in zip(mine_row, their_row, apart, strict=True)
            )
            for mine_row, their_row, x in zip(self.comoments, other.comoments, apart, strict=True)
        )
        return Moments(n, means, comoments)

    def covariance(self, row: int = 0, column: int = 0) -> float | NotEstimable:
        """Of two variables, divisor n - 1; with itself, the variance."""
        if self.n < 2:
            return NotEstimable(f"{self.n} observations: a variance needs at least two")
        return self.comoments[row][column] / (self.n - 1)

    def sample(self, variable: int = 0) -> Sample | NotEstimable:
        """One variable, as tests of means take it."""
        variance = self.covariance(variable, variable)
        if isinstance(variance, NotEstimable):
            return variance
        return Sample(self.n, self.means[variable], max(variance, 0.0))
