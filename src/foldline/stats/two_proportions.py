"""Tests and intervals of the difference of two proportions, treatment minus control."""

import math
from typing import Literal

from foldline.errors import InputError
from foldline.stats.comparison import Comparison
from foldline.stats.fisher import fisher_p_value
from foldline.stats.interval import Interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.score_interval import score_interval
from foldline.stats.tails import Alternative, check_alternative, normal_p_value, normal_quantile
from foldline.stats.trials import Trials, check_trials
from foldline.stats.wilson import check_confidence, wilson_interval

ProportionTest = Literal["pooled_z", "unpooled_z", "yates", "fisher"]
ProportionInterval = Literal["newcombe", "score", "wald", "agresti_caffo"]


def compare_proportions(
    control: Trials,
    treatment: Trials,
    *,
    test: ProportionTest = "yates",
    interval: ProportionInterval = "newcombe",
    confidence: float = 0.95,
    alternative: Alternative = "two_sided",
    null: float = 0.0,
) -> Comparison | NotEstimable:
    """A test of equal proportions, and an interval of their difference.

    A design by `fleiss_cc` is sized for `yates` and `fisher`: with them its power is the designed one. With
    `pooled_z` it is higher, and so is the share of false alarms (up to some 5.2 % at a nominal 5 %).

    Args:
        control: its counts.
        treatment: its counts.
        test: `pooled_z` (standard error under the hypothesis), `unpooled_z` (Wald), `yates` (pooled, each rate
            half a unit nearer to the other; Yates 1934), `fisher` (exact, conditional; Fisher 1935).
        interval: `newcombe` (hybrid score, method 10 of Newcombe 1998), `score` (Miettinen and Nurminen 1985),
            `wald`, `agresti_caffo` (2000).
        confidence: of the interval.
        alternative: of the test; the interval is two-sided always.
        null: the difference tested against; minus the margin, with `greater`, for non-inferiority. By `unpooled_z`
            only: the others suppose one common rate.

    Returns:
        The comparison, or `NotEstimable` where a variant has no units, or no unit at all or every one succeeded.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.

    Example:
        >>> result = compare_proportions(Trials(79, 1124), Trials(124, 1124))
        >>> round(result.p_value, 6), round(result.difference.low, 5), round(result.difference.high, 5)
        (0.001204, 0.01637, 0.0639)
    """
    check_confidence(confidence)
    check_alternative(alternative)
    if test not in ("pooled_z", "unpooled_z", "yates", "fisher"):
        raise InputError("input.invalid", f"test {test!r}; expected pooled_z, unpooled_z, yates or fisher")
    if null != 0.0 and test != "unpooled_z":
        raise InputError(
            "input.invalid",
            f"null {null!r} with {test}, which supposes equal rates; give unpooled_z",
            field="null",
        )
    nothing = check_trials(control, treatment)
    if nothing is not None:
        return nothing
    if test != "unpooled_z" and control.successes + treatment.successes in (0, control.n + treatment.n):
        return NotEstimable("no unit succeeded, or every one did: rates that do not vary cannot be compared")
    error = standard_error(control, treatment, pooled=test != "unpooled_z")
    difference = treatment.rate - control.rate
    if test == "fisher":
        statistic, p_value = math.nan, fisher_p_value(control, treatment, alternative)
    elif error == 0.0:
        return NotEstimable("each variant's rate is 0 or 1: an unpooled standard error would be zero")
    else:
        towards = 0.5 / control.n + 0.5 / treatment.n if test == "yates" else 0.0
        apart = difference - null
        if alternative == "two_sided":
            statistic = math.copysign(max(abs(apart) - towards, 0.0), apart) / error
        else:
            statistic = (apart - (towards if alternative == "greater" else -towards)) / error
        p_value = normal_p_value(statistic, alternative)
    limits = proportion_difference(control, treatment, interval, confidence)
    return Comparison(test, limits, error, statistic, None, p_value, alternative)


def standard_error(control: Trials, treatment: Trials, *, pooled: bool) -> float:
    """Of the difference of the rates: from one common rate, as the hypothesis has it, or from each its own."""
    if pooled:
        rate = (control.successes + treatment.successes) / (control.n + treatment.n)
        return math.sqrt(rate * (1.0 - rate) * (1.0 / control.n + 1.0 / treatment.n))
    a, b = control.rate, treatment.rate
    return math.sqrt(a * (1.0 - a) / control.n + b * (1.0 - b) / treatment.n)


def proportion_difference(
    control: Trials, treatment: Trials, method: ProportionInterval = "newcombe", confidence: float = 0.95
) -> Interval:
    """An interval of the difference of two proportions; both n above 0. See `compare_proportions`.

    Raises:
        InputError: `input.invalid` for another method.
    """
    z = normal_quantile(0.5 + confidence / 2)
    difference = treatment.rate - control.rate
    if method == "newcombe":
        return _newcombe(control, treatment, confidence)
    if method == "score":
        return score_interval(control, treatment, confidence)
    if method == "wald":
        reach = z * standard_error(control, treatment, pooled=False)
        return Interval(difference, max(-1.0, difference - reach), min(1.0, difference + reach), confidence)
    if method == "agresti_caffo":
        more = [Trials(trials.successes + 1, trials.n + 2) for trials in (control, treatment)]
        centre = more[1].rate - more[0].rate
        reach = z * standard_error(*more, pooled=False)
        return Interval(difference, max(-1.0, centre - reach), min(1.0, centre + reach), confidence)
    raise InputError("input.invalid", f"interval {method!r}; expected newcombe, score, wald or agresti_caffo")


def _newcombe(control: Trials, treatment: Trials, confidence: float) -> Interval:
    a = wilson_interval(control.successes, control.n, confidence)
    b = wilson_interval(treatment.successes, treatment.n, confidence)
    if isinstance(a, NotEstimable) or isinstance(b, NotEstimable):
        raise InputError("input.invalid", "a variant has no units; expected at least one in each")
    difference = treatment.rate - control.rate
    down = math.hypot(b.estimate - b.low, a.high - a.estimate)
    up = math.hypot(b.high - b.estimate, a.estimate - a.low)
    return Interval(difference, difference - down, difference + up, confidence)
