"""Ratio metrics, randomised by unit: revenue per session, clicks per page view."""

import math

from foldline.errors import InputError
from foldline.stats.moments import Moments
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample import Sample


def ratio_sample(moments: Moments, numerator: int = 0, denominator: int = 1) -> Sample | NotEstimable:
    """The ratio of two totals as a sample: the delta method (Deng, Knoblich and Lu 2018, equation 3).

    The variance is that of (y - R x) / mean x over units: sessions of one unit are not independent, so rows of
    sessions must not be tested as if they were (13 % false alarms at a nominal 5 % with three sessions a unit and
    an intra-class correlation of 0.25).

    Args:
        moments: of a unit's numerator and denominator, one observation a unit.
        numerator: which variable is above the line.
        denominator: which is below.

    Returns:
        n units, the ratio, its variance; `NotEstimable` with fewer than two units or where the denominators sum
        to zero.

    Example:
        >>> moments = Moments.of_rows([[1, 5], [0, 3], [3, 9], [2, 6], [0, 4], [4, 10], [1, 5], [2, 8]])
        >>> sample = ratio_sample(moments)
        >>> round(sample.mean, 6), round(sample.variance, 9)
        (0.26, 0.016331337)
    """
    if moments.n < 2:
        return NotEstimable(f"{moments.n} units: the spread of a ratio needs at least two")
    below = moments.means[denominator]
    if below == 0.0:
        return NotEstimable("the denominators sum to zero: there is no ratio")
    ratio = moments.means[numerator] / below
    spread = moments.comoments
    total = (
        spread[numerator][numerator]
        - 2.0 * ratio * spread[numerator][denominator]
        + ratio * ratio * spread[denominator][denominator]
    )
    return Sample(moments.n, ratio, max(total, 0.0) / (moments.n - 1) / (below * below))


def ratio_sd(
    numerator_mean: float,
    numerator_sd: float,
    denominator_mean: float,
    denominator_sd: float,
    correlation: float,
) -> float:
    """The standard deviation of a ratio metric's unit, for a design: the root of `ratio_sample`'s variance.

    Args:
        numerator_mean: a unit's mean numerator.
        numerator_sd: its standard deviation, at least 0.
        denominator_mean: a unit's mean denominator, not 0.
        denominator_sd: its standard deviation, at least 0.
        correlation: of the two over units, -1 to 1.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.

    Example:
        >>> round(ratio_sd(0.6, 1.2, 3.0, 2.0, 0.5), 6)
        0.352767
    """
    for name, value, cannot_be, expected in (
        ("denominator_mean", denominator_mean, denominator_mean == 0.0, "a mean other than 0 below the line"),
        ("numerator_sd", numerator_sd, numerator_sd < 0.0, "a standard deviation of at least 0"),
        ("denominator_sd", denominator_sd, denominator_sd < 0.0, "a standard deviation of at least 0"),
        ("correlation", correlation, not -1.0 <= correlation <= 1.0, "a correlation from -1 to 1"),
    ):
        if cannot_be:
            raise InputError("input.invalid", f"{name} is {value!r}; expected {expected}", field=name)
    ratio = numerator_mean / denominator_mean
    variance = (
        numerator_sd**2
        - 2.0 * ratio * correlation * numerator_sd * denominator_sd
        + (ratio * denominator_sd) ** 2
    )
    return math.sqrt(max(variance, 0.0)) / abs(denominator_mean)
