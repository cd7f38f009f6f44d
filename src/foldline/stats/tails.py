"""Tail probabilities and quantiles of the distributions that tests refer to.

Tails are computed as such, never as one minus the rest, so that small ones keep their digits.
"""

import math
from statistics import NormalDist
from typing import Literal

from foldline.errors import InputError

Alternative = Literal["two_sided", "greater", "less"]
"""What is tested against "no difference": any, only treatment above control, only below."""

ALTERNATIVES: tuple[Alternative, ...] = ("two_sided", "greater", "less")


def normal_quantile(p: float) -> float:
    """z with a standard normal probability of p below, 0 < p < 1."""
    return NormalDist().inv_cdf(p)


def normal_below(z: float) -> float:
    """The standard normal probability below z; full relative precision in the lower tail.

    Example:
        >>> f"{normal_below(-20.0):.4e}"
        '2.7536e-89'
    """
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_p_value(z: float, alternative: Alternative = "two_sided") -> float:
    """The p-value of a standard normal statistic.

    Example:
        >>> round(normal_p_value(1.959964), 6)
        0.05
    """
    if alternative == "two_sided":
        return math.erfc(abs(z) / math.sqrt(2.0))
    return normal_below(-z if alternative == "greater" else z)


def student_p_value(t: float, freedom: float, alternative: Alternative = "two_sided") -> float:
    """The p-value of a Student statistic with `freedom` > 0 degrees of freedom."""
    from scipy.special import stdtr

    if alternative == "two_sided":
        return min(1.0, 2.0 * float(stdtr(freedom, -abs(t))))
    return float(stdtr(freedom, -t if alternative == "greater" else t))


def student_quantile(p: float, freedom: float) -> float:
    """t with a probability of p below, 0 < p < 1."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, p))


def chi_square_above(x: float, freedom: float) -> float:
    """The probability that a chi-square variable exceeds x."""
    from scipy.special import chdtrc

    return float(chdtrc(freedom, x))


def check_alternative(alternative: str) -> None:
    """Refuse an alternative that is none of `ALTERNATIVES`.

    Raises:
        InputError: `input.invalid`.
    """
    if alternative not in ALTERNATIVES:
        raise InputError(
            "input.invalid",
            f"alternative {alternative!r}; expected one of {', '.join(ALTERNATIVES)}",
            field="alternative",
            value=alternative,
        )
