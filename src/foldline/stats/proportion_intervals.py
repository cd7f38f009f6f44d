"""Other intervals of one proportion beside Wilson's."""

import math

from foldline.errors import InputError
from foldline.stats.interval import Interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.tails import normal_quantile
from foldline.stats.wilson import check_confidence

METHODS = ("clopper_pearson", "jeffreys", "agresti_coull", "wald")


def proportion_interval(
    successes: int, n: int, method: str, confidence: float = 0.95
) -> Interval | NotEstimable:
    """The interval of a proportion by another method than Wilson's (`stats.wilson`).

    Args:
        successes: 0 to n.
        n: number of trials.
        method: `clopper_pearson` (1934; never too narrow), `jeffreys` (equal tails of Beta(x + ½, n - x + ½)),
            `agresti_coull` (1998), `wald` (too narrow near 0 and 1).
        confidence: above 0, below 1.

    Returns:
        The interval, or `NotEstimable` where there are no trials.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.

    Example:
        >>> round(proportion_interval(0, 10, "clopper_pearson").high, 6)
        0.308497
    """
    from scipy.special import betaincinv

    check_confidence(confidence)
    if not 0 <= successes <= n or method not in METHODS:
        raise InputError(
            "input.invalid",
            f"proportion_interval: got successes={successes!r}, n={n!r}, method={method!r}; expected "
            f"0 <= successes <= n and one of {', '.join(METHODS)}",
        )
    if n == 0:
        return NotEstimable("no trials: a proportion needs at least one")
    x, p, tail = successes, successes / n, (1.0 - confidence) / 2
    if method == "clopper_pearson":
        low = 0.0 if x == 0 else float(betaincinv(x, n - x + 1, tail))
        high = 1.0 if x == n else float(betaincinv(x + 1, n - x, 1.0 - tail))
    elif method == "jeffreys":
        low = float(betaincinv(x + 0.5, n - x + 0.5, tail))
        high = float(betaincinv(x + 0.5, n - x + 0.5, 1.0 - tail))
    else:
        z = normal_quantile(1.0 - tail)
        more = z * z if method == "agresti_coull" else 0.0
        centre = (x + more / 2) / (n + more)
        reach = z * math.sqrt(centre * (1.0 - centre) / (n + more))
        low, high = max(0.0, centre - reach), min(1.0, centre + reach)
    return Interval(p, low, high, confidence)
