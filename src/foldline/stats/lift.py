"""Relative lift: the difference as a share of the control's mean.

Decide on the absolute scale, show the lift: the delta method's test of a lift errs to one side (0.9 and 4.3 %
above and below at a nominal 2.5 and 2.5 %, proportions of 7 % and 1,124 units) and has less power.
"""

import math
from typing import Literal

from foldline.errors import InputError
from foldline.stats.comparison import Comparison, compare
from foldline.stats.cuped import cuped_samples
from foldline.stats.interval import Interval
from foldline.stats.moments import Moments
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample import Sample, check_sample
from foldline.stats.tails import Alternative, check_alternative, normal_quantile
from foldline.stats.welch import welch_freedom
from foldline.stats.wilson import check_confidence


def lift_interval(
    control: Sample,
    treatment: Sample,
    *,
    method: Literal["fieller", "log_ratio", "delta"] = "fieller",
    confidence: float = 0.95,
) -> Interval | NotEstimable:
    """The limits of (treatment - control) / |control|.

    Args:
        control: its units; its mean must differ from zero clearly.
        treatment: its units.
        method: `fieller` (1954): all ratios that the normal test of treatment - ratio · control does not reject;
            `log_ratio`: the delta method on the logarithm, for positive means; `delta`: on the lift itself.
        confidence: above 0, below 1.

    Returns:
        The interval, or `NotEstimable` where the control's mean is zero, or, for Fieller, does not differ from
        zero at this confidence (the limits are then infinite), or, for log_ratio, a mean is not positive.

    Example:
        >>> from foldline.stats.sample import proportion_sample
        >>> interval = lift_interval(proportion_sample(79, 1124), proportion_sample(124, 1124))
        >>> round(interval.estimate, 4), round(interval.low, 4), round(interval.high, 4)
        (0.5696, 0.2043, 1.0836)
    """
    check_confidence(confidence)
    check_sample(control, "control")
    check_sample(treatment, "treatment")
    if min(control.n, treatment.n) < 1:
        return NotEstimable("a variant has no units")
    if control.mean == 0.0:
        return NotEstimable("the control's mean is zero: nothing can be a share of it")
    z = normal_quantile(0.5 + confidence / 2)
    base, other = control.mean, treatment.mean
    a, b = control.squared_error, treatment.squared_error
    lift = (other - base) / abs(base)
    if method == "delta":
        reach = z * lift_error(control, treatment)
        return Interval(lift, lift - reach, lift + reach, confidence)
    if method == "log_ratio":
        if base < 0.0 or other <= 0.0:
            return NotEstimable("a mean is not positive: it has no logarithm")
        reach = z * math.sqrt(a / base**2 + b / other**2)
        return Interval(
            lift, other / base * math.exp(-reach) - 1, other / base * math.exp(reach) - 1, confidence
        )
    if method != "fieller":
        raise InputError("input.invalid", f"method {method!r}; expected fieller, log_ratio or delta")
    # The roots of (other - r base)² = z² (b + r² a).
    leading = base * base - z * z * a
    if leading <= 0.0:
        return NotEstimable(
            "the control's mean does not differ from zero clearly: the lift has no finite limits"
        )
    root = z * math.sqrt(max(b * leading + a * other * other, 0.0))
    low, high = (base * other - root) / leading - 1.0, (base * other + root) / leading - 1.0
    return Interval(lift, low, high, confidence) if base > 0 else Interval(lift, -high, -low, confidence)


def lift_error(control: Sample, treatment: Sample) -> float:
    """The delta method's standard error of the lift; the control's mean must not be zero."""
    base, other = control.mean, treatment.mean
    return math.sqrt(treatment.squared_error / base**2 + control.squared_error * other**2 / base**4)


def compare_lift(
    control: Sample,
    treatment: Sample,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two_sided",
) -> Comparison | NotEstimable:
    """The t-test of the lift by the delta method, as GrowthBook has it. To compare with it, not to decide by.

    Returns:
        The comparison on the relative scale, or `NotEstimable`.
    """
    check_confidence(confidence)
    check_alternative(alternative)
    freedom = welch_freedom(control, treatment)
    if isinstance(freedom, NotEstimable):
        return freedom
    if control.mean == 0.0:
        return NotEstimable("the control's mean is zero: nothing can be a share of it")
    lift = (treatment.mean - control.mean) / abs(control.mean)
    error = lift_error(control, treatment)
    return compare("delta_lift", lift, error, freedom, confidence=confidence, alternative=alternative)


def compare_adjusted_lift(
    control: Moments,
    treatment: Moments,
    outcome: int = 0,
    covariate: int = 1,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two_sided",
) -> Comparison | NotEstimable:
    """The lift of means adjusted by `cuped_samples`, as a share of the control's plain mean, by the delta method.

    The adjusted difference and the plain mean it is divided by are correlated: without their covariance the
    standard error is wrong.

    Returns:
        The comparison on the relative scale, or `NotEstimable`.
    """
    check_confidence(confidence)
    check_alternative(alternative)
    adjusted = cuped_samples(control, treatment, outcome, covariate)
    if isinstance(adjusted, NotEstimable):
        return adjusted
    freedom = welch_freedom(adjusted.control, adjusted.treatment)
    if isinstance(freedom, NotEstimable):
        return freedom
    base = control.means[outcome]
    if base == 0.0:
        return NotEstimable("the control's mean is zero: nothing can be a share of it")
    difference = adjusted.treatment.mean - adjusted.control.mean
    # d lift / d (control's mean) = -ratio / base; the ratio by plain means, as GrowthBook takes it.
    ratio, theta, rows = treatment.means[outcome] / base, adjusted.theta, control.comoments
    own = ratio**2 * rows[outcome][outcome] - 2 * ratio * theta * rows[outcome][covariate]
    own = (own + theta**2 * rows[covariate][covariate]) / (control.n - 1) / control.n
    variance = (max(own, 0.0) + adjusted.treatment.squared_error) / base**2
    return compare(
        "delta_adjusted_lift",
        difference / abs(base),
        math.sqrt(variance),
        freedom,
        confidence=confidence,
        alternative=alternative,
    )
