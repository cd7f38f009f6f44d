"""Quantiles of a metric and their difference."""

import math

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.stats.comparison import Comparison, compare
from foldline.stats.interval import Interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.tails import normal_quantile
from foldline.stats.wilson import check_confidence


def quantile_interval(
    values: npt.ArrayLike,
    quantile: float,
    *,
    units: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> Interval | NotEstimable:
    """A quantile with limits from order statistics.

    The limits are the values at the ranks n (q ± z s), where s is the standard error of the share of values below
    the quantile: √(q (1 - q) / n) for independent values, and by the delta method over units where one unit has
    several (Deng, Knoblich and Lu 2018, section 4.1).

    Args:
        values: (n,) finite.
        quantile: above 0, below 1.
        units: (n,) whose value each is; None where every value has its own.
        confidence: above 0, below 1.

    Returns:
        The interval, or `NotEstimable` where the ranks fall outside the values.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges, `input.not_finite`.

    Example:
        >>> quantile_interval(range(1, 1001), 0.9)
        Interval(estimate=900.0, low=882.0, high=919.0, confidence=0.95)
    """
    check_confidence(confidence)
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not 0.0 < quantile < 1.0:
        raise InputError(
            "input.invalid", f"quantile {quantile!r} of {array.ndim} dimensions; expected 0 to 1 of one"
        )
    if not np.isfinite(array).all():
        raise InputError("input.not_finite", "values hold NaN or infinity; expected finite ones")
    n = len(array)
    if n < 2:
        return NotEstimable(f"{n} values: a quantile's limits need more")
    ordered = np.sort(array)
    estimate = float(ordered[max(math.ceil(quantile * n) - 1, 0)])
    error = math.sqrt(quantile * (1.0 - quantile) / n)
    if units is not None:
        error = _share_error(array <= estimate, np.asarray(units))
    reach = normal_quantile(0.5 + confidence / 2) * error
    low, high = math.floor(n * (quantile - reach)), math.ceil(n * (quantile + reach)) + 1
    if low < 1 or high > n:
        return NotEstimable(f"{n} values: too few for limits of the quantile {quantile:g} at {confidence:g}")
    return Interval(estimate, float(ordered[low]), float(ordered[high - 2]), confidence)


def compare_quantiles(
    control: Interval, treatment: Interval, confidence: float = 0.95
) -> Comparison | NotEstimable:
    """The difference of two quantiles, each with its interval (of any one confidence): errors from half-widths.

    Example:
        >>> control = Interval(7.158, 7.0988, 7.2172, 0.95)
        >>> treatment = Interval(7.6945, 7.6418, 7.7472, 0.95)
        >>> round(compare_quantiles(control, treatment).difference.low, 3)
        0.457
    """
    check_confidence(confidence)
    errors = [
        (part.high - part.low) / (2.0 * normal_quantile(0.5 + part.confidence / 2))
        for part in (control, treatment)
    ]
    error = math.hypot(*errors)
    if error == 0.0:
        return NotEstimable("both quantiles have no width: the values around them are all the same")
    return compare("quantile", treatment.estimate - control.estimate, error, confidence=confidence)


def _share_error(below: npt.NDArray[np.bool_], units: npt.NDArray[np.generic]) -> float:
    """The standard error of the share of values below, values being drawn unit by unit."""
    if units.shape != below.shape:
        raise InputError("input.invalid", f"{units.shape} units of {below.shape} values; expected as many")
    _, places = np.unique(units, return_inverse=True)
    sizes = np.bincount(places).astype(np.float64)
    hits = np.bincount(places, weights=below)
    k = len(sizes)
    if k < 2:
        return math.inf
    apart = hits - hits.sum() / sizes.sum() * sizes
    return float(math.sqrt((apart**2).sum() / (k - 1) / k) / sizes.mean())
