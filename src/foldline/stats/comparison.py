"""What a test of two variants returns."""

import math
from typing import NamedTuple

from foldline.stats.interval import Interval
from foldline.stats.tails import (
    Alternative,
    normal_p_value,
    normal_quantile,
    student_p_value,
    student_quantile,
)


class Comparison(NamedTuple):
    """A difference, treatment minus control, with its interval and test.

    Attributes:
        method: the test's name.
        difference: estimate and limits; a one-sided alternative has an infinite one.
        standard_error: of the estimate.
        statistic: the test's statistic, positive where treatment is above control; NaN where it has none.
        freedom: degrees of freedom, None for a normal or exact test.
        p_value: 0 to 1.
        alternative: what was tested.
    """

    method: str
    difference: Interval
    standard_error: float
    statistic: float
    freedom: float | None
    p_value: float
    alternative: Alternative


def compare(
    method: str,
    estimate: float,
    standard_error: float,
    freedom: float | None = None,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two_sided",
    null: float = 0.0,
) -> Comparison:
    """The comparison by estimate and standard error: Student with `freedom`, normal without.

    Args:
        method: its name.
        estimate: of the difference.
        standard_error: of the estimate, above 0.
        freedom: degrees of freedom, None for the normal distribution.
        confidence: of the limits, above 0, below 1.
        alternative: a one-sided one has its other limit at infinity.
        null: the difference tested against; minus the margin, for non-inferiority.
    """
    level = confidence if alternative != "two_sided" else 0.5 + confidence / 2
    reach = standard_error * (normal_quantile(level) if freedom is None else student_quantile(level, freedom))
    statistic = (estimate - null) / standard_error
    return Comparison(
        method,
        Interval(
            estimate,
            -math.inf if alternative == "less" else estimate - reach,
            math.inf if alternative == "greater" else estimate + reach,
            confidence,
        ),
        standard_error,
        statistic,
        freedom,
        normal_p_value(statistic, alternative)
        if freedom is None
        else student_p_value(statistic, freedom, alternative),
        alternative,
    )
