"""What a test of means needs to know of one variant."""

import math
from typing import NamedTuple

from foldline.errors import InputError


class Sample(NamedTuple):
    """Number, mean and variance of independent units.

    Ratio metrics and covariate-adjusted ones are brought to this form (`stats.ratio`, `stats.cuped`), so that one
    test serves all.

    Attributes:
        n: number of units.
        mean: the estimate: their mean, or a ratio of means.
        variance: of one unit, divisor n - 1; the estimate's squared standard error is variance / n.
    """

    n: int
    mean: float
    variance: float

    @property
    def squared_error(self) -> float:
        """The squared standard error of the mean."""
        return self.variance / self.n


def check_sample(sample: Sample, name: str) -> None:
    """Refuse a sample that cannot be.

    Raises:
        InputError: `input.invalid` where n is negative, or mean or variance not finite, or the variance negative.
    """
    if sample.n < 0 or not math.isfinite(sample.mean) or not 0 <= sample.variance < math.inf:
        raise InputError(
            "input.invalid",
            f"{name} is {sample!r}; expected n >= 0, a finite mean and a finite variance >= 0",
            field=name,
        )


def proportion_sample(successes: int, n: int) -> Sample:
    """A proportion as a sample with variance p (1 - p), as GrowthBook's statistics take it; n above 0.

    Example:
        >>> proportion_sample(1, 4)
        Sample(n=4, mean=0.25, variance=0.1875)
    """
    if not 0 <= successes <= n or n < 1:
        raise InputError("input.invalid", f"{successes!r} of {n!r}; expected 0 <= successes <= n, n >= 1")
    p = successes / n
    return Sample(n, p, p * (1.0 - p))
