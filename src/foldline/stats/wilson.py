"""The score interval of a proportion."""

import math
from statistics import NormalDist

from foldline.errors import InputError
from foldline.stats.interval import Interval
from foldline.stats.not_estimable import NotEstimable


def wilson_interval(successes: float, n: float, confidence: float = 0.95) -> Interval | NotEstimable:
    """The interval of Wilson (1927) for a proportion; method 3 of Newcombe (1998), without continuity correction.

    Args:
        successes: 0 to n; may be a sum of values between 0 and 1, for which the interval is too wide, if anything.
        n: number of trials, at least 0.
        confidence: above 0, below 1.

    Returns:
        The interval, or `NotEstimable` where there are no trials.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.

    Example:
        >>> low, high = wilson_interval(81, 263)[1:3]     # Newcombe 1998, table I
        >>> round(low, 4), round(high, 4)
        (0.2553, 0.3662)
    """
    check_confidence(confidence)
    if not 0 <= successes <= n or math.isinf(n):
        raise InputError(
            "input.invalid",
            f"wilson_interval: got successes={successes!r}, n={n!r}; expected 0 <= successes <= n",
        )
    if n == 0:
        return NotEstimable("no trials: a proportion needs at least one")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    centre = (2 * successes + z * z) / (2 * (n + z * z))
    half = z * math.sqrt(z * z + 4 * successes * (1 - p)) / (2 * (n + z * z))
    # At 0 and n the limit is the bound itself; the difference of the two terms leaves rounding there.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(p, low, high, confidence)


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is not between 0 and 1.

    Raises:
        InputError: `input.invalid`.
    """
    if not 0 < confidence < 1:
        raise InputError(
            "input.invalid", f"confidence={confidence!r}: expected a number between 0 and 1, such as 0.95"
        )
