"""The interval of a mean of values of any kind."""

import math
from statistics import NormalDist

from foldline.errors import InputError
from foldline.stats.interval import Interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.wilson import check_confidence


def mean_interval(n: int, mean: float, variance: float, confidence: float = 0.95) -> Interval | NotEstimable:
    """mean ± z √(variance / n): the large-sample interval by the central limit theorem.

    For values other than 0 and 1, where Wilson's does not hold. Below some 30 values, or with a rare large one, it
    is too narrow.

    Args:
        n: number of values.
        mean: their mean, finite.
        variance: their sample variance (divisor n - 1), finite, not negative; not looked at where n < 2.
        confidence: above 0, below 1.

    Returns:
        The interval, or `NotEstimable` with fewer than two values.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.

    Example:
        >>> mean_interval(100, 5.0, 4.0).low.__round__(4)
        4.608
    """
    check_confidence(confidence)
    if n < 2:
        return NotEstimable(f"{n} values: the spread of a mean needs at least two")
    if not (math.isfinite(mean) and math.isfinite(variance) and variance >= 0):
        raise InputError(
            "input.invalid",
            f"mean_interval: got mean={mean!r}, variance={variance!r}; expected finite, variance >= 0",
        )
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, confidence)
